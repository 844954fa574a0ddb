"""Open a page in JupyterLab, with its own gate."""
