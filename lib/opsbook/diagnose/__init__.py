"""Decision trees: pages of docs/trees/ that look where they can and ask the rest."""
