"""The effects that cells import. They run in the kernel of a run, or in JupyterLab's."""
