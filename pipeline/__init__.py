"""capture2avatar: multi-view captures of people in, animatable Gaussian-splat avatars out."""

import os

# torch and numba share one OpenMP library whose threads spin while they wait; on a busy machine that slows everything tenfold
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")  # a second OpenMP pool beside torch's fights with it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own pool spins too, and its matrices here are small
