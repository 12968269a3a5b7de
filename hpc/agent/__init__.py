"""What takes work at a site that nobody can reach, starts it there and reports.

It travels as one zipapp and runs under the oldest Python that a cluster has: Python 3.6 and its
standard library alone, and of ours nothing but the texts of schedulers, which keep the same rule.
"""
