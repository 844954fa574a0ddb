"""Events -> record: the journal, the folder a run leaves, its seal, what lies beside it, and reading it again."""
