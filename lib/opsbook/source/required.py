"""Values that a page cannot do without, for a command to copy. Without Jupytext, whose import takes a list's time."""

from opsbook.errors import InputError
from opsbook.model.runbook import Cell
from opsbook.settings import Settings
from opsbook.source import catalog, documents, parameters
from opsbook.source.fences import fences


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
