"""Events -> record: the journal, the record folder, its seal, the files beside it, and reading records."""
