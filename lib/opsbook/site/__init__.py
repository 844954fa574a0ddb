"""The docs site: pages, lists, forms and links as Markdown and HTML, and the tree that a generator builds.

Publishing never executes anything. Pages show only the data passed in, and every page shows its time.
"""
