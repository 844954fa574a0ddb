"""The documents of a project: where they are, and what exists around them."""
