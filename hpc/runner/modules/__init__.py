"""One file per module: NAME, NEEDS, TAKES, GIVES and `run(job) -> Result`. See docs/modules.md."""
