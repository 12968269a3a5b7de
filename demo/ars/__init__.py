"""A stand-in for the museum's archive, ARS, with its files store ERDA.

It speaks the archive's HTTP contract from real state in PostgreSQL and two directories, so the
whole road can be run, watched and broken on one machine.
"""
