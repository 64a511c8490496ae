"""Weakly- and Semi-Supervised Panoptic Segmentation (Li, Arnab and Torr, ECCV 2018)."""
