"""What a command imports, somebody waits for: each loads its own rooms and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from opsbook.core.locks import lock
from opsbook.core.record import store, summary
from tests.support import ROOT

PROGRAM = """
import contextlib, io, json, sys
from opsbook.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(json.dumps([out.getvalue(), sorted(sys.modules)]))
"""
ALWAYS = {"cli", "console", "core.model", "errors"}
PROJECT = {"files", "settings", "shapes"}
PAGES = {"ansible_cfg", "core.catalog", "core.rules", "core.source", "params"}

MAY = {
    ("--version",): (set(), set()),
    ("list",): ({"yaml"}, {"operate", *PROJECT, *PAGES}),
    ("show", "deploy-service"): ({"markdown_it", "mdurl", "yaml"}, {"operate", *PROJECT, *PAGES}),
    ("status",): ({"yaml"}, {"core.locks", "core.record", "core.trust", "operate", *PROJECT}),
    ("records", "list"): ({"yaml"}, {"core.record", "records", *PROJECT}),
    ("run", "--help"): (set(), {"operate", "settings", "shapes"}),
}
"""The packages of others, and the rooms of opsbook, that each command may load."""

NEVER = {
    "asyncio",
    "concurrent",
    "email",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "socket",
    "ssl",
    "subprocess",
}
"""What of Python itself takes long to load, and is for commands that run something."""


@pytest.mark.parametrize("arguments", MAY, ids=" ".join)
def test_a_command_loads_its_own_rooms_alone(arguments: tuple[str, ...]) -> None:
    _check(ROOT, arguments)


@pytest.mark.parametrize("arguments", [("status",), ("records", "list")], ids=" ".join)
def test_what_runs_left_is_read_without_more(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "opsbook.toml").write_text('[retention]\nkeep = "1d"\n')
    run = "20261120T181203Z-page-7f3k"
    told = summary.of([]) | {"run": run, "outcome": "failed", "reason": "it broke", "ended": "2026-11-20T18:12:03Z"}
    folder = store.create(tmp_path / "records", run)
    (folder / store.SUMMARY).write_text(json.dumps(told))
    (folder / store.SEAL).touch()
    lock.acquire(tmp_path / ".opsbook", [lock.Lock("dev/page", run, "ann", "it broke", "2026-11-20T18:12:03Z")])
    assert run in _check(tmp_path, arguments)


def _check(folder: Path, arguments: tuple[str, ...]) -> str:
    """What the command says."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, check=True, cwd=folder, stdout=subprocess.PIPE, text=True)
    said, loaded = json.loads(done.stdout)
    others, rooms = MAY[arguments]
    own = [name for name in loaded if name.startswith("opsbook.")]
    assert len(own) > 5
    allowed = tuple(f"opsbook.{room}" for room in ALWAYS | rooms)
    assert [name for name in own if not name.startswith(allowed) and name != "opsbook.core"] == []
    assert NEVER & set(loaded) == set()
    from_elsewhere = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"opsbook", "__main__"}
    # Installed into the interpreter itself, whatever it runs: hooks of the site, and what Cython made.
    started = {name for name in from_elsewhere if name.startswith(("_", "sitecustomize", "cython_runtime"))}
    assert from_elsewhere - started <= others
    return str(said)
