"""Values that a page cannot do without, for a command to copy."""

from opsbook.core.catalog import catalog, documents
from opsbook.core.source import notebook
from opsbook.errors import InputError
from opsbook.settings import Settings


def required(settings: Settings, name: str) -> list[str]:
    """Names of the parameters without a default; none where the page cannot be read, which running it says."""
    try:
        page, _ = notebook.parse(documents.text(catalog.find(settings, name)), name)
    except (InputError, OSError, UnicodeDecodeError, RecursionError, MemoryError):
        return []
    return [each.name for each in page.parameters if each.required]
