"""Run a notebook of another tool, with the rules of a session and the record of a run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

from opsbook.core.engine.cells import exits_well
from opsbook.core.model.effect import Mode
from opsbook.core.model.events import CellFinished
from opsbook.core.model.events import read as fact
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.planned import DEFAULT_LIMIT, RunOptions
from opsbook.core.model.runbook import Runbook
from opsbook.core.planning import bind
from opsbook.core.planning.context import vault
from opsbook.core.planning.drafts import Draft, environment, ground, plan
from opsbook.core.record import journal, notebook
from opsbook.core.source import bare, ipynb
from opsbook.core.source import notebook as source
from opsbook.errors import InputError
from opsbook.operate.run_record import Finished
from opsbook.operate.running import Audience, recorded
from opsbook.settings import Settings

_NAMES = {"timeout": "CellTimeoutError", "died": "DeadKernelError"}
"""Names of errors by the status of a cell: those of nbclient, which papermill uses."""


@dataclass(frozen=True)
class _Read:
    """A notebook as a runbook; `declared`: it has a parameters cell, so that values can be checked."""

    runbook: Runbook
    declared: bool


@dataclass(frozen=True)
class Handed:
    """A notebook from another tool: `book` is an nbformat node, `given` the parameter values as papermill read them.

    Without an `environment`, it runs in the first sandbox. Cells run in `cwd`, and each may take `limit` seconds;
    without one, as long as it likes, unless the notebook was written for opsbook.
    """

    book: Any
    name: str
    given: Mapping[str, Any]
    environment: str | None
    labels: Mapping[str, str]
    cwd: Path
    limit: float | None = None


def run_notebook(settings: Settings, handed: Handed, audience: Audience) -> Finished:
    """Run the cells of the notebook, and write their outputs and real statuses into it.

    Changes are allowed in a sandbox only. Secrets are never available, since the caller stores everything in clear
    text. Raises InputError if nothing was run.
    """
    read = _read(handed.book, handed.name)
    chosen = environment(settings, handed.environment)
    at, files = ground(settings, chosen.name)
    chosen = environment(at, chosen.name)
    # The run gets no secrets of the environment; vaulted values of the inventory are still redacted.
    open_policy = chosen.policy.model_copy(update={"secrets": {}})
    bound = bind.Bound()
    if read.declared:
        check({each.name: each for each in read.runbook.parameters}, handed.given)
        bound = bind.bind(read.runbook.parameters, typed(handed.given), chosen)
    planned = plan(settings, Draft(read.runbook, replace(chosen, policy=open_policy), bound, files))
    held = vault(settings, planned.environment, {}, {})
    limit = handed.limit or (math.inf if read.runbook.bare else DEFAULT_LIMIT)
    options = RunOptions(Mode.NOTEBOOK, labels=handed.labels, limit=limit, cwd=handed.cwd)
    finished = recorded(settings, planned, options, audience, held)
    _fill(handed.book, read, finished.folder)
    return finished


def _read(book: Any, name: str) -> _Read:
    """The notebook as a runbook. Raises InputError if it is no valid page, or takes a secret."""
    without = type(book)({**book, "cells": [cell for cell in book.cells if not ipynb.injected(cell)]})
    runbook, problems = source.parse(ipynb.text(without), f"{name}.md", magics=True)
    declared = runbook.parameters_cell is not None
    if not declared:
        runbook, problems = source.parse(ipynb.text(book), f"{name}.md", magics=True)
    if errors := [str(problem) for problem in problems if not problem.warning]:
        raise InputError(errors, "Nothing ran.")
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


def _fill(book: Any, read: _Read, folder: Path) -> None:
    events = journal.read(folder / journal.NAME)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    named = list(zip(_names(code, read), code, strict=True))
    notebook.fill(named, events)
    ends = {end.cell: end for end in map(fact, events) if isinstance(end, CellFinished) and end.status != "succeeded"}
    for name, cell in named:
        if name in ends:
            _explain(cell, ends[name])
        # The caller expects nbformat nodes at every level.
        cell.update(nbformat.from_dict(dict(cell)))


def _names(code: Sequence[Any], read: _Read) -> Iterator[str]:
    """The ids of code cells in the journal; empty for one that the page does not run."""
    values = [read.declared and ipynb.injected(cell) for cell in code]
    ids = notebook.ids(
        (cell for cell, given in zip(code, values, strict=True) if not (given or ipynb.skipped(cell))), read.runbook
    )
    for cell, given in zip(code, values, strict=True):
        yield ipynb.INJECTED if given else "" if ipynb.skipped(cell) else next(ids)


def _explain(cell: Any, end: CellFinished) -> None:
    """Add why a cell failed as an error, unless it has one that says it: papermill reports the first.

    An interrupt does not say that a time limit was its cause, and papermill takes sys.exit(0) for no error.
    """
    outputs = cell["outputs"]
    at = next((at for at, output in enumerate(outputs) if output["output_type"] == "error"), len(outputs))
    if end.status != "failed" or at == len(outputs) or exits_well(outputs[at]):
        name = _NAMES.get(end.status, "CellExecutionError")
        outputs.insert(at, {"output_type": "error", "ename": name, "evalue": end.why, "traceback": [end.why]})


# -- values as papermill has read them


_NUMBERS = {"int": int, "float": int | float}
"""What papermill may make of a value: of any other kind, the text that was typed is lost."""


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values as text, as they would be typed; None stays None."""
    return {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def check(known: Mapping[str, Parameter], given: Mapping[str, Any]) -> None:
    """Raises InputError for values that papermill has read as something else than was typed: 1.1 for 1.10."""
    wrong = [name for name, value in given.items() if name in known and not _kept(known[name], value)]
    said = [f"{name} is {known[name].kind}, and papermill has read {given[name]!r}: text is lost." for name in wrong]
    if said:
        raise InputError(said, "-r NAME VALUE keeps it as typed; in a list, or in Python, give text. Nothing ran.")


def _kept(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, list):
        return parameter.many and all(
            item is not None and _kept(replace(parameter, many=False), item) for item in value
        )
    if value is None or isinstance(value, str):
        return True
    if isinstance(value, bool) or parameter.base == "bool":
        return isinstance(value, bool) and parameter.base == "bool"
    return isinstance(value, _NUMBERS.get(parameter.base, ()))
