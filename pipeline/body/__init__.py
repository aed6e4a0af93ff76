"""Parametric human models: shape, expression, skinning, landmark tables, one file format."""
