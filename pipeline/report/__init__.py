"""The HTML pages and their plots."""
