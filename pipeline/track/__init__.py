"""Keypoints and mattes of all cameras to the parameters of a parametric model per frame: a Gauss-Newton fit."""
