"""Parts of a person as paint knows them."""

OUTSIDE, EYE_LEFT, EYE_RIGHT, INSIDE, TONGUE, TEETH_UPPER, TEETH_LOWER = range(7)
"""OUTSIDE is skin, hair and clothes; INSIDE the mouth and the eye sockets."""
