"""Text -> Runbook: front matter, roles, cells, parameters."""
