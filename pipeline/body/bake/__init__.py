"""Scripts that baked the embedded models (see docs/body.md)."""
