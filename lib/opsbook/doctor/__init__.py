"""`opsbook doctor`: find what would keep opsbook, or one run, from working."""
