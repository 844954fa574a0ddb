"""`opsbook doctor`: what would keep opsbook, or one run, from working."""
