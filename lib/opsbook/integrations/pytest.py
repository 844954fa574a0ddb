"""pytest collects runbooks: `pytest runbooks/` replays each page against its recordings, without touching any system.

A pytest plugin, found by its entry point. With --junitxml a CI system gets the result of each recording.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from opsbook.replay.dependencies import Dependencies
    from opsbook.replay.recordings import Found
    from opsbook.settings import Settings

_NOW: "pytest.StashKey[dict[Path, Dependencies]]" = pytest.StashKey()
"""The playbooks of each project as they are in this session, by its root."""

# opsbook is imported only once a page is found: most test folders have none.


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Page | None":
    """Collect a page below runbooks/ or procedures/ of a project."""
    if file_path.suffix != ".md" or not {"runbooks", "procedures"} & set(file_path.parts):
        return None
    settings = _project(file_path)
    if settings is None:
        return None
    from opsbook.core.catalog import catalog

    return Page.from_parent(parent, path=file_path) if file_path in catalog.paths(settings) else None


def _project(path: Path) -> "Settings | None":
    from opsbook import settings
    from opsbook.errors import InputError

    try:
        return settings.load(path.parent)
    except InputError:
        return None


class Page(pytest.File):
    """One page, with an item for each of its recordings."""

    def collect(self) -> "Iterator[Replay | Playbooks]":
        from opsbook.replay import recordings

        settings = _project(self.path)
        assert settings is not None
        found = list(recordings.find(settings, [self.path.stem]))
        for each in found:
            yield Replay.from_parent(self, name=each.name, settings=settings, found=[each])
        if found:
            yield Playbooks.from_parent(self, name="playbooks", settings=settings, found=found)


class Unlike(Exception):
    """How a replay differs from its recording, in sentences."""


class _Item(pytest.Item):
    """Recordings of a page. A failure shows sentences, not a traceback."""

    def __init__(self, *, settings: "Settings", found: "list[Found]", **given: Any) -> None:
        super().__init__(**given)
        self._settings = settings
        self._found = found

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Unlike) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.stem} {self.name}"


class Replay(_Item):
    """A page against one recording."""

    def runtest(self) -> None:
        from opsbook.replay import testing

        (found,) = self._found
        tested = testing.test(self._settings, found, self._now())
        if tested.status != "passed":
            raise Unlike("\n".join([f"{tested.status}:", *tested.problems]))

    def _now(self) -> "Dependencies":
        """The project's playbooks, read once for all pages."""
        from opsbook.replay import dependencies

        known = self.session.stash.setdefault(_NOW, {})
        if self._settings.root not in known:
            known[self._settings.root] = dependencies.read(self._settings)
        return known[self._settings.root]


class Playbooks(_Item):
    """The syntax of every playbook in a page's recordings, with the recorded variables."""

    def runtest(self) -> None:
        from opsbook.replay import testing

        bad = [each for each in testing.parsed(self._settings, self._found) if each.problems]
        if bad:
            raise Unlike("\n".join(problem for each in bad for problem in each.problems))
