"""Logging in to the board: what lets somebody in, and what keeps everybody else out."""
