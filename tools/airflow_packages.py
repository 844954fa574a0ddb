"""Install Airflow's operator for papermill into FOLDER, from where it sees the packages of this environment, too.

    python tools/airflow_packages.py FOLDER

It is for one test: nothing of Airflow comes into the environment of the project.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "tests/support/airflow.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
LOCKED = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK))


def main(arguments: list[str]) -> int:
    """Make the folder anew; the exit code."""
    folder = Path(arguments[0]).absolute()
    print(f"Installing Airflow's papermill operator into {arguments[0]}, about half a minute …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder)
    python = folder / "bin/python"
    if subprocess.run([*PIP, "--python", str(python), "install", *LOCKED], check=False).returncode:
        print("It could not be installed: see above. Is a package index within reach?", file=sys.stderr)
        return 1
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    beside = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(beside) / "project.pth").write_text(line, encoding="utf-8")
    (folder / "ready").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
