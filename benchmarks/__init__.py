"""Speed and memory against plain reference implementations: `python -m benchmarks.NAME`."""
