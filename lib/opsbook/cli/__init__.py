"""The edge for people: reads arguments, calls flow, prints."""
