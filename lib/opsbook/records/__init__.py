"""Records of runs: list, show, compare, verify, anchor, export, keep, prune."""
