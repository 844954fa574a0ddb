"""Runs: start, watch, answer, approve, resume, roll back, cancel."""
