"""What a camera left, file by file: whether it is whole, and when it was made."""
