"""What nobody meant to write: whatever it is, opsbook answers with a sentence or leaves it alone."""
