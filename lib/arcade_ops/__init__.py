"""What runbooks about arcade need beyond opsbook's own effects."""
