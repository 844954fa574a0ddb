"""The keys of the front matter, as Markdown."""

from opsbook.core.model.front import MKDOCS_KEYS, FrontMatter
from opsbook.shapes import model
from tools.reference.keys import keys, yaml_example


def body() -> str:
    ignored = ", ".join(f"`{key}`" for key in sorted(MKDOCS_KEYS))
    return f"""\
No key is required, and no other key is allowed. A page without front matter is a procedure: it runs as it is.
Keys of MkDocs ({ignored}) and of Jupyter (`jupyter`, `jupytext`) are allowed, and ignored.

{keys(model(FrontMatter), yaml_example)}"""
