"""Comparison of renders with the truth."""
