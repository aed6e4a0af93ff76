"""What stages agree on: their table, where every file lies, the captures table."""
