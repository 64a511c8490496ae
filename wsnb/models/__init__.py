"""Backbones, heads, their weights, and how they are trained."""
