"""From a command line to one Snakemake run, and what came of it."""
