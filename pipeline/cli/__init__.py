"""The command line: one verb per thing a user does."""
