"""What keeps the code in order looks at all of it, in whatever folder it stands."""

import subprocess
import sys
from pathlib import Path

from tests.support import ROOT


def test_ruff_looks_at_every_file() -> None:
    command = [str(Path(sys.executable).with_name("ruff")), "check", "--show-files", "."]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    seen = {Path(line) for line in shown.splitlines()}
    written = {path for folder in ("lib", "services", "tests", "tools") for path in (ROOT / folder).rglob("*.py")}
    assert len(written) > 500
    assert written - seen == set()
