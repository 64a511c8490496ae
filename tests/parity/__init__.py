"""Parity with arrays that the original programs produced: `python -m tests.parity FOLDER`."""
