"""nbclient and nothing else: python plain_nbclient.py IN OUT."""

import sys

import nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=None).execute()
nbformat.write(book, sys.argv[2])
