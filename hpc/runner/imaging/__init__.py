"""What is seen in an image: plain functions on pixels, which know nothing of jobs."""
