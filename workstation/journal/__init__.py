"""The client's own memory, and who works on a folder."""
