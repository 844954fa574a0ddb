"""Doors of other programs: papermill, MkDocs, pytest."""
