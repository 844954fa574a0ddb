"""`opsbook check`: every problem of every document, and what can be corrected without a person."""
