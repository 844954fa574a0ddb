"""Integrations with other programs: papermill, MkDocs, pytest."""
