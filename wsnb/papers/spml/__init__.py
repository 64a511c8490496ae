"""SPML: pixel-to-segment contrastive learning from tags, boxes, scribbles and points (Ke, Hwang, Yu, ICLR 2021)."""
