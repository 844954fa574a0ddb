"""Drills: runbooks with `drill:` in their front matter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsbook.core.catalog import catalog
from opsbook.core.model import drill as rules
from opsbook.core.model.front import Drill
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.errors import InputError
from opsbook.settings import Settings

_NAMES = "opsbook drill list names them."


@dataclass(frozen=True)
class Listed:
    """A drill in a list, without anything that reveals its fault."""

    name: str
    title: str
    par: str
    environments: tuple[str, ...]
    alerts: tuple[str, ...]
    hints: int


def names(settings: Settings) -> list[str]:
    """The names of all drills."""
    return [entry.name for entry in catalog.entries(settings) if entry.front.drill is not None]


def drills(settings: Settings) -> Iterator[Listed]:
    """Every drill, by name."""
    for name in names(settings):
        page = catalog.load(settings, name)
        front = page.front
        yield Listed(name, page.title, rules.par(page), front.environments, front.alerts, len(about(page).hints))


def drill(settings: Settings, name: str) -> Runbook:
    """The page of a drill. Raises InputError if there is no such drill."""
    if name not in (known := names(settings)):
        raise InputError(f"There is no drill {name}. {nearest(name, known)}", _NAMES)
    return catalog.load(settings, name)


def check_par(page: Runbook, parameters: Mapping[str, Any]) -> None:
    """Raises InputError if a run with these parameters has no usable par time: it could not be judged."""
    par = parameters.get(rules.PAR)
    if par is None or not rules.is_time(str(par)):
        said = f"{page.name} has no par time" if par is None else f"{par} is no par time"
        raise InputError(f"{said}.", "A drill takes between a moment and seven days: --par 5m.")


def about(page: Runbook) -> Drill:
    """The `drill:` of its front matter. Raises InputError if it has none."""
    if page.front.drill is None:
        raise InputError(f"{page.name} is no drill.", _NAMES)
    return page.front.drill


def told(runbook: Runbook, title: str) -> str:
    """The prose of a section: Symptoms for the start of a drill, Fault for its end."""
    steps = (step for section in runbook.sections if section.title.lower() == title.lower() for step in section.steps)
    return "\n\n".join(step.prose.strip() for step in steps)
