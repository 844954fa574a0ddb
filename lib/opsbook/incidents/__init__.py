"""Incidents as records: what happened, who did what, and when, in a journal with a seal like that of a run."""
