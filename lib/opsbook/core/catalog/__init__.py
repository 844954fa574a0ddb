"""The documents of a project, its alert rules and what its playbooks ask for."""
