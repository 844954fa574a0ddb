"""The docs site: pages, lists, forms and links as Markdown and HTML, and the tree they are built in.

Publishing never executes anything. What a page shows was handed in, and every page says as of when.
"""
