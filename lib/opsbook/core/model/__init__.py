"""Values of opsbook. No module here reads a file, a clock or the network."""
