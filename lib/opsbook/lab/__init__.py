"""A page in JupyterLab, with a gate of its own."""
