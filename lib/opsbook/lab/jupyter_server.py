"""JupyterLab for one lab: `python -m opsbook.lab.jupyter_server`, with its order as a line of JSON on stdin.

Only this module uses JupyterLab. It listens on loopback only, reads only the settings written here, makes no request to
the internet, and ends when its stdin closes: its parent is gone then.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from opsbook.core.engine.process import MARK, spare, tree
from opsbook.core.engine.process.keeper import adopt_orphans

_OFF = (
    "@jupyterlab/apputils-extension:announcements",
    "@jupyterlab/debugger-extension",
    "@jupyterlab/extensionmanager-extension",
    "@jupyterlab/fileeditor-extension:language-server",
    "@jupyterlab/lsp-extension",
    "@jupyterlab/notebook-extension:language-server",
    "@jupyterlab/terminal-extension",
)
"""Parts of JupyterLab that a lab does not need, or that use the network."""

_SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {
        "defaultViewers": {"markdown": "Jupytext Notebook"},
        "maxNumberRecents": 0,
    },
    "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


_STOP_LIMIT = 15.0
"""Seconds for it to end by itself once its parent is gone: JupyterLab gives a kernel 5 of them."""


def main() -> None:
    """Serve until it is ended."""
    private = Path(os.environ["OPSBOOK_LAB"]).parent
    alone = threading.Event()
    # JupyterLab replaces this handler once it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _serve(private, alone)
    finally:
        _end_all(os.environ[MARK])
        if alone.is_set():
            spare.remove(private)


def _serve(private: Path, alone: threading.Event) -> None:
    line = sys.stdin.readline()
    if not line:
        alone.set()
        return
    order = json.loads(line)
    threading.Thread(target=_watch, args=(private, alone), daemon=True).start()
    tempfile.tempdir = str(private)  # Jupyter makes an empty settings folder here, and reads no other
    _write_settings()
    from jupyterlab.labapp import LabApp

    adopt_orphans()
    LabApp.initialize_server(argv=[], config=_config(order, private)).start()


def _end_all(lab: str) -> None:
    """End processes that kernels left behind. Each kernel's mark begins with the lab's."""
    marks = set()
    for process in tree.below(os.getpid()):
        with contextlib.suppress(psutil.Error, OSError):
            marks.add(process.environ().get(MARK, ""))
    for mark in sorted(each for each in marks if each.startswith(lab)):
        tree.end(os.getpid(), mark)


def _watch(private: Path, alone: threading.Event) -> None:
    """Wait for the parent to go away, then end, and leave nothing behind.

    The folder is removed last: while a kernel or JupyterLab still writes there, removing it would fail.
    """
    sys.stdin.read()
    alone.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_LIMIT)
    _end_all(os.environ[MARK])
    spare.remove(private)
    os._exit(1)


def _write_settings() -> None:
    from jupyter_core.paths import jupyter_config_dir

    folder = Path(jupyter_config_dir()) / "labconfig"
    folder.mkdir()
    content: dict[str, Any] = {
        "default_setting_overrides": _SETTINGS,
        "page_config": {"disabledExtensions": dict.fromkeys(_OFF, True)},
    }
    for name, value in content.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def _config(order: dict[str, Any], private: Path) -> Any:
    from traitlets.config import Config

    config = Config()
    config.ServerApp.update(
        ip="127.0.0.1",
        port=order["port"],
        port_retries=0,
        root_dir=str(private / "page"),
        open_browser=False,
        allow_root=True,  # only a user with the token can reach it
        terminals_enabled=False,
        use_redirect_file=False,
        contents_manager_class="jupytext.TextFileContentsManager",
    )
    config.IdentityProvider.token = order["token"]
    config.LabApp.update(
        news_url=None,
        check_for_updates_class="jupyterlab.NeverCheckForUpdate",
        extension_manager="readonly",
        labextensions_path=[str(_jupytext(private))],
    )
    config.KernelSpecManager.update(ensure_native_kernel=False, allowed_kernelspecs={"opsbook"})
    config.ConnectionFileMixin.transport = "ipc"
    return config


def _jupytext(private: Path) -> Path:
    """A folder of extensions for JupyterLab with Jupytext's alone."""
    from jupyter_core.paths import jupyter_path

    name = "jupyterlab-jupytext"
    folder = private / "labextensions"
    folder.mkdir()
    found = next(path for place in jupyter_path("labextensions") if (path := Path(place) / name).is_dir())
    (folder / name).symlink_to(found)
    return folder


if __name__ == "__main__":
    main()
