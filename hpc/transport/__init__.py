"""Ways to run a command at a site: over SSH, or on this machine. They know no scheduler."""
