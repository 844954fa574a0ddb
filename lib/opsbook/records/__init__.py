"""What runs left: list, show, compare, verify, anchor, export, keep, prune."""
