"""Values of opsbook. Nothing here reads a file, a clock or the network."""
