"""capture2avatar: multi-view captures of people in, animatable Gaussian-splat avatars out."""

import os

# torch and numba share one OpenMP library whose threads spin while they wait; on a busy machine that slows everything tenfold
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# NumPy's own pool spins too, and its matrices here are small; Snakemake exports the rule's threads under this name, so it is set, not offered
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# OpenCV would decode an image of 2^30 pixels, whatever its file's size; it reads this when it is first used
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
