"""A small avatar method that lives outside the package: the executable specification of what a method may need.

8-channel splats coloured by a small network, a 2D refiner with a normalisation layer, a latent code per frame, its own parameter groups and
schedules, a phase that begins at a step, no density control, trained on a group of captures with different image sizes.
`C2A_METHODS=toy=tests.toy.method:METHOD` registers it.
"""
