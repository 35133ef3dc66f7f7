"""What touches the outside: decoding, measures, models, the process pool, profiles on disk, stored objects."""
