"""Calibrations as other programs write them."""
