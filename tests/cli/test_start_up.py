"""What a command imports, somebody waits for: each loads its own rooms and nothing else."""

import json
import subprocess
import sys

import pytest

from tests.support import ROOT

PROGRAM = """
import contextlib, io, json, sys
from opsbook.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
"""
VALUES = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "yaml"}
"""What reads settings and other files of the project."""
ALWAYS = {"cli", "console", "core.model", "errors", "shapes"}
PAGES = {"core.catalog", "core.rules", "core.source"}
PLANS = {"core.engine.secrets", "core.locks", "core.planning", "core.record", "core.trust"}

MAY = {
    ("--version",): (set(), set()),
    ("list",): ({"yaml"}, {"files", "operate", "settings", *PAGES}),
    ("show", "deploy-service"): ({"markdown_it", "mdurl", "yaml"}, {"files", "operate", "settings", *PAGES}),
    ("status",): ({"yaml"}, {"files", "operate", "settings", *PAGES, *PLANS}),
    ("records", "list"): ({"yaml"}, {"core.record", "files", "records", "settings"}),
    ("run", "--help"): (set(), {"files", "operate", "settings"}),
}
"""The packages of others, and the rooms of opsbook, that each command may load."""


@pytest.mark.parametrize("arguments", MAY, ids=" ".join)
def test_a_command_loads_its_own_rooms_alone(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    loaded = json.loads(done.stdout)
    others, rooms = MAY[arguments]
    own = [name for name in loaded if name.startswith("opsbook.")]
    assert len(own) > 5
    allowed = tuple(f"opsbook.{room}" for room in ALWAYS | rooms)
    packages = {"opsbook.core", "opsbook.core.engine"}
    assert [name for name in own if not name.startswith(allowed) and name not in packages] == []
    from_elsewhere = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"opsbook", "__main__"}
    # Installed into the interpreter itself, whatever it runs: hooks of the site, and what Cython made.
    started = {name for name in from_elsewhere if name.startswith(("_", "sitecustomize", "cython_runtime"))}
    assert from_elsewhere - started <= others
