"""Recordings: derived from a record, replayed against a page. A replay touches no external system."""
