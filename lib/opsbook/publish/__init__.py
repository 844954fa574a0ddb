"""Pages of the docs site: pure functions from documents and summaries of records to Markdown and HTML.

Publishing never executes anything. Nothing here reads a file, a clock or the network, but the package's own assets;
what a page shows was handed in, and every page says as of when.
"""
