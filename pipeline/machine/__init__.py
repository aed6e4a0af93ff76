"""Processes and GPUs: leases, GPU locks, time limits, SLURM, doctor."""
