"""`refinery ingest` at a terminal: its questions, bars and ends."""
