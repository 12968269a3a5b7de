"""One file per module: NAME, NEEDS and `run(job) -> Result`. See docs/modules.md."""
