"""Processes and cards: leases, locks, time limits, SLURM, doctor. No science."""
