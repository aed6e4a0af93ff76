"""Reads parametric models from the files of their authors, which users bring: one module a format, one form for all (`SourceModel`)."""
