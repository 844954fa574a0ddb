"""Papermill's IO for pages: opsbook://ENV/RUNBOOK, and an answer to who names a page's file.

Papermill loads this with itself, whatever it is used for: it imports nothing that may fail or takes time.
"""

from pathlib import Path
from typing import Any

from papermill.exceptions import PapermillException

SCHEME = "opsbook://"


class RunEnded(PapermillException, SystemExit):  # type: ignore[misc]
    """A run that did not succeed. Uncaught, as in papermill's command, it ends with the exit code of `opsbook run`."""

    def __init__(self, said: str, code: int | str) -> None:
        super().__init__(said)
        self.code = code


class Pages:
    """The notebooks of pages, to be read only."""

    def read(self, path: str) -> str:
        """Raises RunEnded."""
        from papermill.log import logger

        from opsbook.errors import OpsbookError
        from opsbook.integrations import papermill_pages

        try:
            return papermill_pages.notebook(path)
        except OpsbookError as error:
            logger.error(error.whole)
            raise RunEnded(error.whole, int(error.exit_code)) from error

    def listdir(self, path: str) -> list[str]:
        raise RunEnded(said := f"{path} is no folder; opsbook list shows the pages.", said)

    def write(self, buf: str, path: str) -> None:
        raise RunEnded(said := f"{path} cannot be written: name a file for the notebook.", said)

    def pretty_path(self, path: str) -> str:
        return path


class Sources:
    """The folders of pages: what is there is a file like any other, but a page is run by its name."""

    def read(self, path: str) -> str:
        """Raises RunEnded for a page."""
        if path.endswith(".md"):
            run = f"papermill {SCHEME}ENV/{Path(path).stem} OUT.ipynb --engine opsbook"
            raise RunEnded(said := f"{path} is a page of opsbook, and no notebook. Write: {run}", said)
        return str(_files().read(path))

    def __getattr__(self, name: str) -> Any:
        """What papermill does with any other file."""
        return getattr(_files(), name)


def _files() -> Any:
    from papermill.iorw import papermill_io

    return papermill_io.get_handler("local")


pages, sources = Pages(), Sources()
