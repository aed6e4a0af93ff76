"""What methods share whose avatars are splats: parameters, density control, drawing."""
