"""The command line: the table of commands, the error boundary, completion."""
