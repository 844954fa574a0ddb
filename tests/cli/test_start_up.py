"""What a command imports, somebody waits for."""

import subprocess
import sys

from tests.support import ROOT

SLOW = ("lark", "jupyterlab", "mkdocs", "pytest", "ansible")


def test_reading_a_page_imports_nothing_slow() -> None:
    program = (
        "import sys; from opsbook.cli.main import main; code = main(['show', 'deploy-service', '--json']); "
        f"print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
