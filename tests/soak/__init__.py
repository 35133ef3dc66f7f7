"""Tests that take hours: every mutation, many seeds, every row of the fault matrix, long fuzzing."""
