"""The family of networks that ask for the mask of one point after the other: AdaptIS."""
