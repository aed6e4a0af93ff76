"""Motion of synthetic subjects."""
