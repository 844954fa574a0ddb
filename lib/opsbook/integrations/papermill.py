"""`papermill --engine opsbook in.ipynb out.ipynb -p …`: run a notebook by papermill through opsbook.

Papermill reads the notebook, injects parameters and writes the result. opsbook runs the cells through the gate with the
rules of a session (changes only in an environment marked sandbox: true, no secrets), leaves a record, and writes the
real status of each cell. OPSBOOK_ENVIRONMENT names the environment; the default is the first sandbox. OPSBOOK_LABELS
are the labels of the run: ticket=OPS-1.
"""

import asyncio
import contextlib
import os
import shlex
import threading
from pathlib import Path
from typing import Any

from papermill.engines import Engine
from papermill.exceptions import PapermillException
from papermill.iorw import write_ipynb
from papermill.log import logger

from opsbook import settings
from opsbook.core.model.event import Event, Exit
from opsbook.core.model.events import StepFinished, StepStarted, read
from opsbook.core.model.person import Answer, Question
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import one_line, slug
from opsbook.core.planning.bind import pairs
from opsbook.errors import OpsbookError
from opsbook.integrations import notebooks
from opsbook.operate.running import Audience


class OpsbookEngine(Engine):  # type: ignore[misc]
    """Papermill's engine named opsbook."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, input_path: str | None = None, **_: Any
    ) -> Any:
        """Run the notebook; returns it with outputs. Raises PapermillException if it did not succeed."""
        _check_place()
        try:
            project = settings.load(Path.cwd())
            name = slug(Path(str(input_path or "notebook")).stem)
            given = nb.metadata.get("papermill", {}).get("parameters", {})
            handed = notebooks.Handed(nb, name, given, os.environ.get("OPSBOOK_ENVIRONMENT"), _labels())
            finished = notebooks.run_notebook(project, handed, Audience(_Nobody(), _logged))
        except OpsbookError as error:
            raise PapermillException(error.whole) from error
        nb.metadata.setdefault("papermill", {}).update(
            outcome=str(finished.ending.outcome),
            record=finished.run,
            exception=finished.ending.exit_code is not Exit.SUCCEEDED,
            duration=finished.ending.seconds,
        )
        if finished.ending.exit_code is not Exit.SUCCEEDED:
            write_ipynb(nb, output_path)
            raise PapermillException(f"{finished.ending.outcome}: {finished.ending.reason} (record {finished.run})")
        return nb


def _labels() -> dict[str, str]:
    """The labels in OPSBOOK_LABELS, split as a shell splits words: ticket=OPS-1 team=platform."""
    return {name: given[-1] for name, given in pairs(shlex.split(os.environ.get("OPSBOOK_LABELS", ""))).items()}


def _check_place() -> None:
    """Raises PapermillException in an event loop or outside the main thread: a run needs its own loop, and signals."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise PapermillException(
            "the engine opsbook cannot run inside an event loop (as in a cell of Jupyter); use papermill's command"
        )
    if threading.current_thread() is not threading.main_thread():
        raise PapermillException("the engine opsbook runs in the main thread only; start a process for each notebook")


class _Nobody:
    """An audience without a person: papermill cannot ask questions."""

    present = False

    async def ask(self, question: Question) -> Answer:
        raise AssertionError(question)


def _logged(run: str, plan: Plan, runbook: Runbook) -> Any:
    logger.info(f"opsbook run {run} in {plan.environment}")

    def listen(event: Event) -> None:
        match read(event):
            case StepStarted(section=section, title=title):
                logger.info(f"{section} / {title}")
            case StepFinished(why=why) if why:
                logger.warning(one_line(why, 400))

    return listen
