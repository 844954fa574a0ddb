"""Training records as files: records/training/RUN.json."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from opsbook import files
from opsbook.core.model.effect import canonical
from opsbook.core.model.text import nearest
from opsbook.core.record.sidecars import TRAINING
from opsbook.errors import InputError
from opsbook.shapes import from_json
from opsbook.training.training import Drilled


def path(records: Path, run: str) -> Path:
    return records / TRAINING / f"{run}.json"


def find(records: Path, wanted: str) -> Path:
    """The training record of a run, by its id, a prefix of it, or `last`. Raises InputError."""
    known = sorted(path.stem for path in (records / TRAINING).glob("*.json"))
    if wanted == "last" and known:
        return path(records, known[-1])
    matches = [run for run in known if run == wanted] or [run for run in known if run.startswith(wanted)]
    if len(matches) > 1:
        raise InputError(f"{wanted} fits {len(matches)} drills: {', '.join(matches[:5])}.", "Write more of it.")
    if not matches:
        hint = nearest(wanted, known[-50:]) if known else "No drill has left one yet: opsbook drill start NAME."
        raise InputError(f"There is no training record of {wanted}.", hint)
    return path(records, matches[0])


def write(records: Path, drilled: Drilled) -> Path:
    """Write the training record of a drill."""
    target = path(records, drilled.run)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(target, canonical(asdict(drilled)))
    return target


def read(file: Path) -> Drilled:
    """The training record in a file. Raises InputError, also if it is not in its canonical form."""
    try:
        data = files.read(file)
        found = from_json(Drilled, data)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.", "Name a drill that is over.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no training record.", "It was changed, or written by something else.") from error
    if data != canonical(asdict(found)) or found.run != file.stem:
        raise InputError(f"{file} is not as it was written.", "It was changed.")
    return found


def every(records: Path) -> Iterator[Drilled]:
    """Every readable training record, oldest first."""
    for file in sorted((records / TRAINING).glob("*.json")):
        try:
            yield read(file)
        except InputError:
            continue
