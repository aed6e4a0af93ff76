"""capture2avatar: multi-view captures of people in, animatable Gaussian-splat avatars out."""
