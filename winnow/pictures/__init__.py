"""The structure of picture files: what a header says, where a picture ends, and which parts are no pixels.

Nothing here decodes a pixel, so it costs microseconds, and no native decoder meets bytes that are not judged yet.
"""
