"""Output and prompts of commands in a terminal."""
