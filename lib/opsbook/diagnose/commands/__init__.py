"""One command a file: `configure` takes a parser, `execute` returns the exit code."""
