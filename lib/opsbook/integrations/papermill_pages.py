"""`papermill opsbook://ENV/RUNBOOK out.ipynb -p … --engine opsbook`: the same run as `opsbook run`.

Papermill reads a notebook of the page through its own IO, with the page's parameters, so that `--help-notebook` lists
them. The engine then runs the page itself, by its name: policy, labels, approvals, locks, secrets, rollback and record
are those of a run. Another engine, as schedulers start it, runs the one cell of that notebook, which starts the run as
a process of its own.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill.iorw import write_ipynb
from papermill.log import logger

from opsbook import settings
from opsbook.core.catalog import catalog
from opsbook.core.model.outcome import Exit
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.planned import RunOptions
from opsbook.core.planning import bind, drafts
from opsbook.errors import InputError, OpsbookError
from opsbook.integrations.notebooks import check, typed
from opsbook.integrations.papermill_io import RunEnded
from opsbook.operate import running
from opsbook.operate.run_record import Finished

_NAMED = re.compile(r"opsbook://([^/]+)/([^/]+)")
_TYPES = {"int": "int", "float": "float", "bool": "bool"}

_LAST = 12
"""Lines of a failed run that its error repeats: some tools show nothing else."""

_CELL = """\
# The engine opsbook runs the page itself. With any other engine this cell starts the run, as a process of its own.
from opsbook.integrations.papermill_pages import run_as_process

run_as_process({where!r}, {{{values}}})
"""


def labels() -> dict[str, str]:
    """The labels in OPSBOOK_LABELS, split as a shell splits words: ticket=OPS-1 team=platform."""
    return {name: given[-1] for name, given in bind.pairs(shlex.split(os.environ.get("OPSBOOK_LABELS", ""))).items()}


def _name(where: str) -> tuple[str, str]:
    """Environment and runbook. Raises InputError."""
    if (found := _NAMED.fullmatch(where)) is None:
        raise InputError(f"{where} names no page.", "Write opsbook://ENV/RUNBOOK; opsbook list shows the runbooks.")
    return found[1], found[2]


def notebook(where: str) -> str:
    """The notebook of a page, as papermill reads it: its parameters, and the cell that runs it. Raises InputError."""
    environment, name = _name(where)
    runbook = catalog.load(settings.load(Path.cwd()), name)
    values = ", ".join(f"{each.name!r}: {each.name}" for each in runbook.parameters)
    declared = "\n".join(map(_declared, runbook.parameters))
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        cells=[
            nbformat.v4.new_markdown_cell(f"# {runbook.title}\n\nIn {environment}. {runbook.front.summary}"),
            nbformat.v4.new_code_cell(declared, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(_CELL.format(where=where, values=values)),
        ],
    )
    return str(nbformat.writes(made))


def _declared(parameter: Parameter) -> str:
    """The parameter as papermill reads one. A required one has no value yet."""
    kind = f"list[{_TYPES.get(parameter.base, 'str')}]" if parameter.many else _TYPES.get(parameter.base, "str")
    about = " ".join(f"{parameter.description} ({parameter.kind})".split())
    needed = "required: " if parameter.required else ""
    return f"{parameter.name}: {kind} = {parameter.default!r}  # {needed}{about}"


def run(book: Any, where: str, on_start: running.OnStart, nobody: Any, output: str | None) -> Any:
    """Run the page; returns the notebook of its record. Raises RunEnded if it did not succeed."""
    try:
        if output and "://" not in output and not Path(output).absolute().parent.is_dir():
            raise InputError(f"There is no folder for {output}.", "Make it, or name another file. Nothing ran.")
        finished = _run(book, where, running.Audience(nobody, on_start))
    except OpsbookError as error:
        logger.error(error.whole)
        raise RunEnded(error.whole, int(error.exit_code)) from error
    made = nbformat.read(finished.folder / "runbook.ipynb", as_version=4)
    if finished.ending.exit_code is not Exit.SUCCEEDED:
        write_ipynb(made, output)
        said = f"{finished.ending.outcome}: {finished.ending.reason} (record {finished.run})"
        logger.error(said)
        raise RunEnded(said, int(finished.ending.exit_code))
    return made


def _run(book: Any, where: str, audience: running.Audience) -> Finished:
    environment, name = _name(where)
    found = settings.load(Path.cwd())
    known = {each.name: each for each in catalog.load(found, name).parameters}
    given = book.metadata.get("papermill", {}).get("parameters", {})
    check(known, given)
    drafted = drafts.draft(found, drafts.RunRequest(name, environment, typed(given)))
    return running.run(found, drafts.plan(found, drafted), RunOptions(labels=labels()), audience)


def run_as_process(where: str, values: Mapping[str, Any]) -> None:
    """Start the run from a cell, and wait for it. Raises RuntimeError if it did not succeed."""
    environment, name = _name(where)
    known = {each.name: each for each in catalog.load(settings.load(Path.cwd()), name).parameters}
    try:
        check(known, values)
    except InputError as error:
        raise RuntimeError(error.whole) from None
    given = {each: value for each, value in typed(values).items() if value is not None}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(given, file)
        file.flush()
        command = [sys.executable, "-m", "opsbook.cli.main", "run", name, "-e", environment, "--yes"]
        command += [
            "--params-file",
            file.name,
            *(word for pair in labels().items() for word in ("--label", "=".join(pair))),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            last: deque[str] = deque(maxlen=_LAST)
            for line in process.stdout:
                print(line, end="")
                last.append(line)
    if process.returncode:
        raise RuntimeError(f"opsbook run ended with exit code {process.returncode}:\n{''.join(last)}")
