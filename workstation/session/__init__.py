"""What a folder holds, what is chosen for it, and what will be done with it."""
