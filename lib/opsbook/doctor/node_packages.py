"""Checks of the services that run under Node, which are optional: is it here, and are their packages?"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from opsbook import files
from opsbook.doctor.finding import Finding, fine, warning
from opsbook.settings import Settings

LOCK = "package-lock.json"


def installed(settings: Settings) -> Iterator[Finding]:
    """Services under Node have the packages that the Makefile's NAME-packages installs for services/NAME."""
    make = settings.content / "Makefile"
    known = {line.partition(":")[0] for line in (files.read_text(make) if make.is_file() else "").splitlines()}
    locks = [lock for lock in sorted(settings.content.glob(f"services/*/{LOCK}")) if _target(lock) in known]
    good = []
    for lock in locks:
        name, copy = lock.parent.name, Path(sys.prefix, lock.parent.name, LOCK)
        if shutil.which("node") is None:
            yield warning(f"{name} cannot run: there is no Node", f"Install Node and npm, then make {_target(lock)}.")
        elif not copy.with_name("ready").is_file():
            yield warning(f"{name} cannot run: its Node packages are not installed", f"make {_target(lock)}")
        elif copy.read_bytes() != lock.read_bytes():
            yield warning(f"{name}: its Node packages are not those of its {LOCK}", f"make {_target(lock)}")
        else:
            good.append(name)
    if good or not locks:
        yield fine(f"services under Node: {', '.join(good) or 'none'}")


def _target(lock: Path) -> str:
    return f"{lock.parent.name}-packages"
