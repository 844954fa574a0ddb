"""`papermill --engine opsbook in.ipynb out.ipynb -p …`: run a notebook by papermill through opsbook.

Papermill reads the notebook, injects parameters and writes the result. opsbook runs the cells through the gate with the
rules of a session (changes only in an environment marked sandbox: true, no secrets), leaves a record, and writes the
real status of each cell. Papermill reports a failed cell as it does with its own engine; its options --cwd,
--execution-timeout, --log-output, --stdout-file and --stderr-file work. OPSBOOK_ENVIRONMENT names the environment; the
default is the first sandbox. OPSBOOK_LABELS are the labels of the run: ticket=OPS-1.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papermill.engines import Engine
from papermill.exceptions import PapermillException
from papermill.iorw import papermill_io, write_ipynb
from papermill.log import logger

from opsbook import settings
from opsbook.core.model.event import Event
from opsbook.core.model.events import CellFinished, Output, StepFinished, StepStarted, read
from opsbook.core.model.outcome import Exit
from opsbook.core.model.person import Answer, Question
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import one_line, slug
from opsbook.errors import OpsbookError
from opsbook.integrations import notebooks, papermill_pages
from opsbook.integrations.papermill_io import SCHEME
from opsbook.operate.running import Audience


class OpsbookEngine(Engine):  # type: ignore[misc]
    """Papermill's engine named opsbook."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, input_path: str | None = None, **options: Any
    ) -> Any:
        """Run the notebook; returns it with outputs, also if a cell failed: papermill then raises its own error.

        Raises PapermillException if the run did not succeed for another reason.
        """
        _check_place()
        told = _Told(*(options.get(name) for name in ("log_output", "stdout_file", "stderr_file")))
        if str(input_path).startswith(SCHEME):
            return papermill_pages.run(nb, str(input_path), told.begin, _Nobody(), output_path)
        try:
            handed = _handed(nb, Path(str(input_path or "notebook")), options)
            finished = notebooks.run_notebook(settings.load(_started_in()), handed, Audience(_Nobody(), told.begin))
        except OpsbookError as error:
            raise PapermillException(error.whole) from error
        nb.metadata.setdefault("papermill", {}).update(
            outcome=str(finished.ending.outcome),
            record=finished.run,
            start_time=finished.told.get("started"),
            end_time=finished.told.get("ended"),
            exception=finished.ending.exit_code is not Exit.SUCCEEDED,
            duration=finished.ending.seconds,
        )
        if finished.ending.exit_code is not Exit.SUCCEEDED:
            why = f"{finished.ending.outcome}: {finished.ending.reason} (record {finished.run})"
            if not any(cell.metadata.get("papermill", {}).get("exception") for cell in nb.cells):
                write_ipynb(nb, output_path)
                raise PapermillException(why)
            logger.error(why)
        return nb


def _handed(nb: Any, path: Path, options: Mapping[str, Any]) -> notebooks.Handed:
    limit = options.get("execution_timeout") or options.get("timeout")
    return notebooks.Handed(
        book=nb,
        name=slug(path.stem),
        given=nb.metadata.get("papermill", {}).get("parameters", {}),
        environment=os.environ.get("OPSBOOK_ENVIRONMENT"),
        labels=papermill_pages.labels(),
        cwd=Path.cwd(),
        # As in nbclient, a negative one is none.
        limit=limit if limit and limit > 0 else None,
    )


def _started_in() -> Path:
    """The folder in which papermill was started; with --cwd, it is in another one by now."""
    local = papermill_io.get_handler("local")
    folder = local.cwd(None)
    local.cwd(folder)
    return Path(folder or Path.cwd())


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


@dataclass(frozen=True)
class _Told:
    """What papermill wants to be told: cells' output in its log, and in these open files."""

    log_output: bool | None
    stdout_file: Any
    stderr_file: Any

    def begin(self, run: str, plan: Plan, runbook: Runbook) -> Callable[[Event], None]:
        logger.info(f"opsbook run {run} in {plan.environment}")
        return self._listen

    def _listen(self, event: Event) -> None:
        match read(event):
            case StepStarted(section=section, title=title):
                logger.info(f"{section} / {title}")
            case StepFinished(why=why) if why:
                logger.warning(one_line(why, 400))
            case Output(output={"output_type": "stream", "name": name, "text": text}):
                self._printed(name, text)
            case Output(output={"output_type": "display_data" | "execute_result", "data": {"text/plain": text}}):
                if self.log_output:
                    logger.info(text)
            case CellFinished(tail=tail) if tail:
                self._printed("stdout", tail)

    def _printed(self, name: str, text: str) -> None:
        file, log = (self.stderr_file, logger.warning) if name == "stderr" else (self.stdout_file, logger.info)
        if self.log_output:
            log(text)
        if file:
            file.write(text)
            file.flush()
