"""Benchmarks, each a module with a command line."""

import pipeline  # noqa: F401  (says how threads wait, before torch starts any)
