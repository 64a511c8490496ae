"""Single-Stage Semantic Segmentation from Image Labels (Araslanov and Roth, CVPR 2020)."""
