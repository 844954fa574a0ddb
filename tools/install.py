"""Set up a virtual environment with exactly the packages of lock files, and opsbook itself.

    python3 tools/install.py VENV LOCK [LOCK …]

Nothing is resolved: every package is installed as a wheel, in the version and with a hash of the lock, whatever has
been published since. `pip check` then says whether the packages are compatible.
It runs before anything is installed, and under any Python 3, so that an old one can say that it is too old: it uses
the standard library only, and no newer syntax.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
ELSEWHERE = ("PIP_CONSTRAINT", "PIP_PREFIX", "PIP_REQUIREMENT", "PIP_TARGET", "PYTHONHOME", "PYTHONPATH")
"""Variables of the caller that would change what is installed, or where."""


def main(arguments: "list[str]") -> int:
    """Install what the lock files say into the environment; the exit code."""
    problem = missing(sys.version_info[:2])
    if problem:
        return refuse(problem)
    venv, locks = Path(arguments[0]), arguments[1:]
    python = venv / "bin" / "python"
    if not python.exists() and run(sys.executable, "-m", "venv", str(venv)):
        return refuse(f"{venv} could not be made. Remove the folder, or name another: make VENV=FOLDER …")
    print(f"Installing into {venv}, about a minute the first time …", flush=True)
    named = [word for lock in locks for word in ("--requirement", lock)]
    if run(python, *PIP, "install", "--quiet", *LOCKED, *named):
        return refuse("The packages could not be installed: see above. Is a package index within reach?")
    if run(python, *PIP, "check"):
        return refuse(f"The packages in {venv} do not fit each other: remove the folder and try again.")
    # Its build needs only what the lock installed.
    own = ("--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if run(python, *PIP, "install", "--quiet", *own):
        return refuse(f"opsbook itself could not be installed into {venv}: see above.")
    return 0


def missing(version: "tuple[int, int]") -> "str | None":
    """What a Python of this version lacks, with what to type; None if nothing."""
    if version < OLDEST:
        wanted, found = (".".join(str(number) for number in each) for each in (OLDEST, version))
        return f"opsbook needs Python {wanted} or newer, and this is {found}. Name another: make PYTHON=python3.12 …"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"
    return None


def run(*command: "str | Path") -> int:
    """Run a command without the caller's ELSEWHERE variables; its exit code."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment["PIP_USER"] = "0"
    done = subprocess.run([str(word) for word in command], env=environment, check=False, stdout=subprocess.PIPE)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
    return done.returncode


def refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
