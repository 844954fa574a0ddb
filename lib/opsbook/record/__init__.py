"""events -> record: the journal, the folder a run leaves, its seal, and reading it again."""
