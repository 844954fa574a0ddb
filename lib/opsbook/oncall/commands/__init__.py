"""What each command does: a function takes the options, and returns the exit code. Arguments: arguments.toml."""
