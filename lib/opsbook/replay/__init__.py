"""Recordings: made of a record, replayed against a page. Reaches nothing."""
