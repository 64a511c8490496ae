"""Pictures of the stages that label: random walk, prototypes, retrieval, inference."""
