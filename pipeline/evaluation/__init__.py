"""How close renders are to the truth."""
