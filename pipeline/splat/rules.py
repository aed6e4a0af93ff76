"""The numbers every rasteriser backend uses; an image must not depend on which backend drew it.

Gaussian splatting after Kerbl et al. 2023 (3D Gaussian Splatting, section 4 and appendix), with the projection of Zwicker et al. 2001 (EWA splatting).
"""

from __future__ import annotations

LOW_PASS = 0.3  # px^2 added to both diagonal entries of the screen covariance
MAX_ALPHA = 0.999  # an opaque splat still lets this much less than everything through, so that 1 / (1 - alpha) stays finite
MIN_ALPHA = 1.0 / 255.0  # fainter contributions to a pixel are left out, their gradient too
MIN_TRANSMITTANCE = 1e-4  # a splat is drawn on a pixel while the transmittance in front of it is above this
NEAR = 0.01  # m, splats whose centre is nearer to the camera plane (or behind it) are not drawn
FRUSTUM_MARGIN = 0.3  # in the projection's Jacobian x/z and y/z are clamped to the image widened by this times half its size
MIN_COMPENSATION = 0.005  # with anti-aliasing, opacity is scaled by sqrt(det / det with LOW_PASS), at least by this (Yu et al. 2024, Mip-Splatting, eq. 9)
MIN_DEPTH_ALPHA = 1e-6  # depth is a weighted mean: the sum divided by alpha, or by this where alpha is smaller
