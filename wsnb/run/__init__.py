"""Experiments, stages and their store; the command `wsnb`."""
