"""Own pictures as a data set."""
