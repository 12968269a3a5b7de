"""Schedulers as text: their commands, and what their answers mean. No I/O, no clock."""
