"""Convert a Jupyter notebook to the text of a page."""

import copy
from typing import Any

INJECTED = "injected-parameters"
"""Tag of the cell that papermill inserts after the parameters."""


def text(book: Any) -> str:
    """The Markdown of a notebook (an nbformat node): its cells, with front matter if its first cell is one."""
    import jupytext

    plain = copy.deepcopy(book)
    # Keeps Jupytext from adding front matter, which would make opsbook read the page differently.
    plain.metadata = {"jupytext": {"notebook_metadata_filter": "-all", "main_language": "python"}}
    for cell in plain.cells:
        cell.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return str(jupytext.writes(plain, fmt="md"))


def skipped(cell: Any) -> bool:
    """Whether its author tagged it as one that does not run."""
    return "skip-execution" in cell.metadata.get("tags", [])


def injected(cell: Any) -> bool:
    """Whether papermill inserted this cell."""
    return INJECTED in cell["metadata"].get("tags", [])
