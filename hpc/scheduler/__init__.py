"""Schedulers as text: what to say to one, and what its answers mean. No I/O, no clock."""
