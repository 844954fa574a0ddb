"""Plan -> allowed, or why not: environments and locks."""
