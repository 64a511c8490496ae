"""Segments as the unit of learning: clustering of pixel embeddings, their prototypes, contrastive losses, retrieval
(SegSort, Hwang et al., ICCV 2019; SPML, Ke et al., ICLR 2021)."""
