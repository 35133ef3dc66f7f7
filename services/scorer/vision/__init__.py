"""Computes what the dimensions share: decoded pictures, pixel arithmetic, faces, text, subjects, prompts."""
