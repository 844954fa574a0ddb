"""The kernel of a lab: `python -m opsbook.core.effects.lab CONNECTION_FILE`, started by JupyterLab.

Differences from Jupyter's own kernel: no start-up files and no history of the user, the environment of a run, lib/ on
the path, shell cells that go through the gate, effects that show their progress, and a Rollback that runs only after a
switch is set.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.display import display, publish_display_data
from traitlets.config import Config

from opsbook.core.effects import session, watch
from opsbook.core.effects.channel import channel
from opsbook.core.effects.progress import PlaybookProgress, described, told
from opsbook.core.effects.show import Shown
from opsbook.core.model.runbook import SHELLS
from opsbook.errors import EffectRefused, RunCancelled

ORDER = "OPSBOOK_LAB"
"""Variable that names the file with the order: env, cwd, run, attribute, cells, parameters, switch."""

_HELD = (
    "This cell belongs to the Rollback, and did not run. To roll back, set {switch} = True in the cell at the "
    "beginning of the section, run that cell, and then this one."
)


class LabKernel(IPythonKernel):  # type: ignore[misc]
    """Knows the place in the page of each cell that it runs."""

    order: dict[str, Any]
    place: dict[str, Any] | None = None
    shown: object = None

    async def do_execute(self, code: str, silent: bool, *args: Any, cell_meta: Any = None, **options: Any) -> Any:
        """Run a cell; one of the Rollback only if the switch is set."""
        self.shown = None
        self.place = None if silent else self.order["cells"].get((cell_meta or {}).get(self.order["attribute"]))
        if self.place is not None:
            switch = self.order["switch"]
            if self.place["role"] == "undo" and not self.shell.user_ns.get(switch):
                publish_display_data(told(_HELD.format(switch=switch)))
                done = {"status": "ok", "execution_count": self.shell.execution_count}
                self.shell.execution_count += 1
                return {**done, "user_expressions": {}, "payload": []}
            assert session.begun is not None
            session.begun.add(self.place["step"])
            # Without a gate, the first effect reports why.
            with suppress(EffectRefused, RunCancelled):
                where = {name: self.place[name] for name in ("cell", "step", "role")}
                channel().query("place", **where)
        return await super().do_execute(code, silent, *args, cell_meta=cell_meta, **options)

    def watch(self, summary: str) -> watch.Watcher:
        """Show an effect's progress in the cell's output."""
        handle: list[Any] = []

        def publish(data: dict[str, str]) -> None:
            if handle:
                handle[0].update(data, raw=True)
            else:
                handle.append(display(data, raw=True, display_id=True))

        return _NotedProgress(self, summary, publish)

    def show(self, result: Shown) -> None:
        """Show the result of an effect, unless it was just shown."""
        if result is not self.shown:
            publish_display_data(described(result))

    def cell_of(self, language: str) -> Callable[[str, str], None]:
        """The magic of a shell cell: an effect with the parameters as environment variables, as in a run."""

        def run(line: str, body: str) -> None:
            from opsbook.core.effects.shell import fence

            if line.strip():
                raise ValueError(f"%%{language} takes no arguments here: a page has none for its {language} cells")
            known = self.shell.user_ns
            values = {name: known[name] for name in self.order["parameters"] if name in known}
            place = self.place or {"reads": False, "shell": ""}
            fence(language, body, values, line=2, changes=not place["reads"], cell=place["shell"])

        return run


class _NotedProgress(PlaybookProgress):
    """Tells the kernel what it showed, so that the end of the cell does not show it again."""

    def __init__(self, kernel: LabKernel, summary: str, publish: Callable[[dict[str, str]], None]) -> None:
        self._kernel = kernel
        super().__init__(summary, publish)

    def end(self, status: str, outcome: Any) -> None:
        super().end(status, outcome)
        self._kernel.shown = outcome


def main() -> None:
    """Serve JupyterLab until it ends this process."""
    order = json.loads(Path(os.environ[ORDER]).read_text(encoding="utf-8"))
    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.kernel_class = LabKernel
    config.InteractiveShellApp.ignore_cwd = True  # a queue.py in the project must not shadow Python's
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    app = IPKernelApp.instance(config=config, connection_file=sys.argv[1], log_level=logging.CRITICAL)
    LabKernel.order = order
    app.initialize([])
    _enter_run_environment(order)
    _register_displays(app.kernel)
    app.start()


def _enter_run_environment(order: dict[str, Any]) -> None:
    """Set the environment, folder and path of a run."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.environ["OPSBOOK_RUN"] = f"{order['run']}-{os.getpid()}"
    os.chdir(order["cwd"])
    sys.path.insert(0, str(Path(order["cwd"]) / "lib"))
    session.begun, session.parameters = set(), order["parameters"]


def _register_displays(kernel: LabKernel) -> None:
    """Register effect progress, result display and shell cells with IPython."""
    watch.start = kernel.watch
    shell = kernel.shell
    shell.display_formatter.ipython_display_formatter.for_type(Shown, kernel.show)
    for language in SHELLS:
        shell.register_magic_function(kernel.cell_of(language), "cell", language)


if __name__ == "__main__":
    main()
