"""Run a notebook of another tool, with the rules of a session and the record of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

from opsbook.core.model.effect import Mode
from opsbook.core.model.options import RunOptions
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import bind
from opsbook.core.planning.context import vault
from opsbook.core.planning.drafts import Draft, environment, plan
from opsbook.core.record import journal, notebook
from opsbook.core.source import bare, ipynb
from opsbook.core.source import notebook as source
from opsbook.errors import InputError
from opsbook.operate.running import Audience, Finished, recorded
from opsbook.settings import Settings


@dataclass(frozen=True)
class _Read:
    """A notebook as a runbook; `declared`: it has a parameters cell, so that values can be checked."""

    runbook: Runbook
    declared: bool


@dataclass(frozen=True)
class Handed:
    """A notebook from another tool: `book` is an nbformat node, `given` the parameter values as papermill read them.

    Without an `environment`, it runs in the first sandbox.
    """

    book: Any
    name: str
    given: Mapping[str, Any]
    environment: str | None
    labels: Mapping[str, str]


def run_notebook(settings: Settings, handed: Handed, audience: Audience) -> Finished:
    """Run the cells of the notebook, and write their outputs and real statuses into it.

    Changes are allowed in a sandbox only. Secrets are never available, since the caller stores everything in clear
    text. Raises InputError if nothing was run.
    """
    read = _read(handed.book, handed.name)
    chosen = environment(settings, handed.environment)
    # The run gets no secrets of the environment; vaulted values of the inventory are still redacted.
    open_policy = chosen.policy.model_copy(update={"secrets": {}})
    bound = bind.bind(read.runbook.parameters, _typed(handed.given), chosen) if read.declared else bind.Bound()
    planned = plan(settings, Draft(read.runbook, replace(chosen, policy=open_policy), bound))
    held = vault(settings, planned.environment, {}, {})
    finished = recorded(settings, planned, RunOptions(Mode.NOTEBOOK, labels=handed.labels), audience, held)
    _fill(handed.book, read, finished.folder)
    return finished


def _read(book: Any, name: str) -> _Read:
    """The notebook as a runbook. Raises InputError if it is no valid page, or takes a secret."""
    without = type(book)({**book, "cells": [cell for cell in book.cells if not ipynb.injected(cell)]})
    runbook, problems = source.parse(ipynb.text(without), f"{name}.md", magics=True)
    declared = runbook.parameters_cell is not None
    if not declared:
        runbook, problems = source.parse(ipynb.text(book), f"{name}.md", magics=True)
    if problems:
        raise InputError([str(problem) for problem in problems], "Nothing ran.")
    secrets = [parameter.name for parameter in runbook.parameters if parameter.secret]
    if secrets:
        raise InputError(
            f"{name} takes a secret ({', '.join(secrets)}), and papermill keeps parameters in clear.",
            "Run it with opsbook run.",
        )
    if runbook.bare:
        # In a notebook that was not written for opsbook, text between cells is no step.
        runbook = replace(runbook, sections=bare.without_manual(runbook.sections))
    return _Read(runbook, declared)


def _typed(given: Mapping[str, Any]) -> dict[str, str | list[str] | None]:
    """Values as text, as they would be typed; None stays None."""
    return {name: _text_of(value) for name, value in given.items()}


def _text_of(value: Any) -> str | list[str] | None:
    return [str(item) for item in value] if isinstance(value, list) else value if value is None else str(value)


def _fill(book: Any, read: _Read, folder: Path) -> None:
    events = journal.read(folder / journal.NAME)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    ids = notebook.ids((cell for cell in code if not (read.declared and ipynb.injected(cell))), read.runbook)
    names = [ipynb.INJECTED if read.declared and ipynb.injected(cell) else next(ids) for cell in code]
    notebook.fill(dict(zip(names, code, strict=True)), events)
    for cell in code:
        # The caller expects nbformat nodes at every level.
        cell.update(nbformat.from_dict(dict(cell)))
