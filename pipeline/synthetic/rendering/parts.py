"""Labels of a subject's surface, which select the texture."""

OUTSIDE, EYE_LEFT, EYE_RIGHT, INSIDE, TONGUE, TEETH_UPPER, TEETH_LOWER = range(7)
"""OUTSIDE is skin, hair and clothes; INSIDE the mouth and the eye sockets."""
