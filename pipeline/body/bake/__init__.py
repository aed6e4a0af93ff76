"""How the embedded bodies were made."""
