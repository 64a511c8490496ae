"""Data sets as they lie on disk, their synthetic twins, weak labels, transforms."""
