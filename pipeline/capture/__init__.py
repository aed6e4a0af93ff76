"""Captures: cameras, calibration files, one reader per dataset, checks, processed frames."""
