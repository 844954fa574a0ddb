"""`opsbook check`: find every problem of every document, and apply safe fixes."""
