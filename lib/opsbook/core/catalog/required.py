"""Required parameters of a page, to show in a command to copy."""

from opsbook.core.catalog import catalog, documents
from opsbook.core.source import notebook
from opsbook.errors import InputError
from opsbook.settings import Settings


def required(settings: Settings, name: str) -> list[str]:
    """Names of the parameters without a default; none if the page cannot be read, which running it reports."""
    try:
        page, _ = notebook.parse(documents.text(catalog.find(settings, name), settings.content), name)
    except (InputError, OSError, UnicodeDecodeError, RecursionError, MemoryError):
        return []
    return [each.name for each in page.parameters if each.required]
