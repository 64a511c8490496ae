"""Data sets as they lie on disk, synthetic sets in the same layouts, weak labels, transforms."""
