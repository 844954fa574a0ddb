"""Values that a page cannot do without, for a command to copy. Without Jupytext, whose import takes a list's time."""

from opsbook.core.catalog import catalog, documents
from opsbook.core.model.runbook import Cell
from opsbook.core.source import parameters
from opsbook.core.source.fences import fences
from opsbook.errors import InputError
from opsbook.settings import Settings


def required(settings: Settings, name: str) -> list[str]:
    """Names of the parameters without a default; none where the page cannot be read, which running it says."""
    try:
        lines = documents.text(catalog.find(settings, name)).split("\n")
    except (InputError, OSError, UnicodeDecodeError):
        return []
    for opening, closing in fences(lines, 0):
        if lines[opening].startswith("```python") and '"parameters"' in lines[opening]:
            cell = Cell("parameters", "\n".join(lines[opening + 1 : closing]), opening + 2)
            return [each.name for each in parameters.parse(cell, name)[0] if each.required]
    return []
