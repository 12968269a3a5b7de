"""The workstations' application: files come in, checked and complete, and sessions end."""
