"""Motions of any form, brought to any body."""
