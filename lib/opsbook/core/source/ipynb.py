"""The page that a notebook of Jupyter is, as text."""

import copy
from typing import Any

INJECTED = "injected-parameters"
"""Tag of the cell that papermill puts behind the parameters."""


def text(book: Any) -> str:
    """The Markdown of a notebook (an nbformat node): its cells and, if its first cell is front matter, that."""
    import jupytext

    plain = copy.deepcopy(book)
    # Without this, Jupytext would add front matter of its own, and a page with front matter is another thing.
    plain.metadata = {"jupytext": {"notebook_metadata_filter": "-all", "main_language": "python"}}
    for cell in plain.cells:
        cell.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return str(jupytext.writes(plain, fmt="md"))


def injected(cell: Any) -> bool:
    """Whether papermill made this cell."""
    return INJECTED in cell.metadata.get("tags", [])
