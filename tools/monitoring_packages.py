"""Unpack Debian's packages for monitoring into a virtual environment: for a machine on which nobody is root.

    python tools/monitoring_packages.py VENV

Prometheus and Alertmanager look for files in /usr/share, wherever they are: they get one of their own, in a mount
namespace of the user, which the kernel has to allow. No process stands between them and supervisord's signals.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
)
WRAPPED = ("prometheus", "prometheus-alertmanager")
BORROWED = ("zoneinfo", "ca-certificates")
"""What they use of the machine's own /usr/share."""

WRAPPER = """\
#!/bin/sh
place=$(dirname "$(readlink -f "$0")")/../monitoring/usr
exec unshare --user --map-root-user --mount sh -e -c '
  program=$1; place=$2; shift 2
  for each in zoneinfo ca-certificates; do
    test ! -d /usr/share/$each || mount --bind /usr/share/$each "$place/share/$each"
  done
  mount --rbind "$place/share" /usr/share
  exec "$place/bin/$program" "$@"
' sh "$(basename "$0")" "$place" "$@"
"""


def main(arguments: list[str]) -> int:
    """Unpack, and put the programs beside the others of the environment; the exit code."""
    venv = Path(arguments[0])
    lacking = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    if lacking:
        print(f"There is no {' and no '.join(lacking)}: this is for Debian and its relatives.", file=sys.stderr)
        return 1
    try:
        unpack(venv / "monitoring")
        link(venv)
        run(venv / "bin/prometheus-alertmanager", "--version")
    except subprocess.CalledProcessError as error:
        print(f"{Path(error.cmd[0]).name} fails: {error.stderr.strip()}", file=sys.stderr)
        return 1
    print(f"The programs of the monitoring are in {venv / 'bin'}.")
    return 0


def run(*command: "str | Path", cwd: "str | None" = None) -> None:
    """Raises CalledProcessError, with what it said."""
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)


def unpack(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        run("apt-get", "download", "-qq", *PACKAGES, cwd=scratch)
        whole = Path(scratch, "whole")
        for package in Path(scratch).glob("*.deb"):
            run("dpkg", "-x", package, whole)
        for each in BORROWED:
            (whole / "usr/share" / each).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        whole.rename(target)


def link(venv: Path) -> None:
    for program in sorted((venv / "monitoring/usr/bin").iterdir()):
        place = venv / "bin" / program.name
        place.unlink(missing_ok=True)
        if program.name in WRAPPED:
            place.write_text(WRAPPER, encoding="utf-8")
            place.chmod(0o755)
        else:
            place.symlink_to(Path("../monitoring/usr/bin", program.name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
