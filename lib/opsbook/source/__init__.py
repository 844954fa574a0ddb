"""From text to Runbook: reading, the catalog of a project, and lint."""
