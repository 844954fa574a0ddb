"""Effects that arcade's runbooks use besides those of opsbook."""
