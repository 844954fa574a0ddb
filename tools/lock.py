"""Renew the lock files from pyproject.toml, and test them before they replace the old ones.

    python tools/lock.py             keep every version that still fits
    python tools/lock.py --upgrade   take the newest of everything

`requirements.lock` has what opsbook and its reference platform need, and is enough for the demo.
`requirements-dev.lock` adds the tests, the docs site, papermill and JupyterLab. Each package is in one of them only.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN, DEV = "requirements.lock", "requirements-dev.lock"
BASE = ("--group", "build", "--group", "platform")
EVERYTHING = (*BASE, "--group", "dev", "--extra", "site", "--extra", "training")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def main(arguments: list[str]) -> int:
    """Write both lock files, or neither; the exit code."""
    with tempfile.TemporaryDirectory(dir=ROOT) as made:
        folder = Path(made)
        # uv keeps the versions it finds in the output file.
        present = [ROOT / name for name in (RUN, DEV) if (ROOT / name).exists()]
        (folder / "whole.txt").write_text("".join(path.read_text(encoding="utf-8") for path in present))
        whole = compiled(folder / "whole.txt", *arguments, *EVERYTHING)
        base = compiled(folder / "base.txt", "--constraint", str(folder / "whole.txt"), *BASE)
        locks = {
            RUN: [text for name, text in whole.items() if name in base],
            DEV: [text for name, text in whole.items() if name not in base],
        }
        for name, packages in locks.items():
            (folder / name).write_text("".join(packages), encoding="utf-8")
        for names in ((RUN,), (RUN, DEV)):
            venv = folder / f"venv-{len(names)}"
            prove(venv, [str(folder / name) for name in names])
        for name in locks:
            (folder / name).replace(ROOT / name)
    print(f"{RUN}: {len(locks[RUN])} packages; {DEV}: {len(locks[DEV])} more. Both were installed into empty folders.")
    return 0


def compiled(file: Path, *what: str) -> dict[str, str]:
    """What uv resolves for all systems and Pythons: name -> the package's lines."""
    uv = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
    ]
    shape = ["--generate-hashes", "--no-emit-index-url", "--no-header", "pyproject.toml"]
    subprocess.run([*uv, *shape, "pyproject.toml", *what, "--output-file", str(file)], cwd=ROOT, check=True)
    found: dict[str, str] = {}
    for block in re.split(r"^(?=\S)", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
        # A package may be listed twice, for different Pythons.
        if match := _NAME.match(block):
            found[match[0]] = found.get(match[0], "") + block
    return found


def prove(venv: Path, locks: list[str]) -> None:
    """Install them into an empty environment, as in a fresh clone."""
    subprocess.run([sys.executable, str(ROOT / "tools" / "install.py"), str(venv), *locks], check=True)
    subprocess.run([venv / "bin" / "opsbook", "--version"], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
