"""`opsbook serve`: takes alerts, opens incidents for them, and shows both, live."""
