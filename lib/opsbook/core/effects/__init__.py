"""What cells import. Runs inside the kernel, or inside JupyterLab's."""
