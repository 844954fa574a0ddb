"""What keeps two runs from one target, and who waits for it."""
