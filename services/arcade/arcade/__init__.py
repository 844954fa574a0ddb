"""arcade: a small game service whose message handlers are written in Lua."""
