"""Files to begin with: a page of each kind (`opsbook new`), and a whole repository (`opsbook init`)."""
