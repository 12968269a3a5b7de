"""The upload API as a workstation calls it, and what is told of problems."""
