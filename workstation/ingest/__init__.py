"""A session's way from its folder to the server, and off the workstation."""
