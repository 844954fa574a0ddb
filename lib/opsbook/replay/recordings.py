"""Recordings of a project: find them, load them, and make one from a record."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.attempts import attempts
from opsbook.core.model.effect import Status
from opsbook.core.model.event import Event
from opsbook.core.model.events import QuestionAnswered, QuestionAsked, RunResumed, RunStarted
from opsbook.core.model.events import read as fact_of
from opsbook.core.model.plan import Plan
from opsbook.core.model.recording import PROJECT, RecordedStep, Recording, Reply, Take
from opsbook.core.model.redact import Redactor
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import seconds_between
from opsbook.core.planning import drafts
from opsbook.core.planning.context import knowing, seen
from opsbook.core.record import notebook, seal, side, summary
from opsbook.core.record.store import Record
from opsbook.core.source.page_name import FOLDERS, name_of, usable
from opsbook.errors import InputError
from opsbook.operate.resuming import Stopped, stopped
from opsbook.replay import dependencies
from opsbook.replay.replaying import Replayed, replay
from opsbook.settings import Settings

FOLDER = "recordings"
"""The folder beside the pages with their recordings, RUNBOOK.NAME.json."""

_MACHINE = frozenset({"ansible_bin", "vault_password_file", "vaults", "check_reads", "private", "mode"})
"""Keys of `here` that depend on the machine, and are not part of a recording."""

_STRAIGHT = ("succeeded", "failed", "rolled-back", "rollback-failed")
"""Outcomes that a replay can reproduce."""


@dataclass(frozen=True)
class Found:
    """A recording beside a page."""

    runbook: str
    name: str
    path: Path


def find(settings: Settings, runbooks: Iterable[str] = ()) -> Iterator[Found]:
    """Recordings of these runbooks, or of all, by name. Raises InputError for a runbook that does not exist."""
    wanted = [name_of(catalog.find(settings, name)) for name in runbooks]
    folders = (folder for place in FOLDERS for folder in (settings.root / place).rglob(FOLDER))
    paths = sorted(path for folder in folders for path in folder.glob("*.*.json"))
    for path in sorted(paths, key=lambda path: path.name):
        # Include recordings without a page: it may have been renamed, and would silently go untested.
        runbook, _, name = path.name.removesuffix(".json").partition(".")
        if not wanted or runbook in wanted:
            yield Found(runbook, name, path)


def without(settings: Settings) -> list[str]:
    """Runbooks with cells, but without a recording."""
    known = {found.runbook for found in find(settings)}
    names = (entry.name for entry in catalog.entries(settings))
    return [name for name in names if name not in known and _runs(settings, name)]


def _runs(settings: Settings, name: str) -> bool:
    try:
        return any(step.cells for step in catalog.load(settings, name).steps())
    except InputError:
        return False


def of_record(settings: Settings, wanted: str) -> tuple[Recording, Stopped]:
    """The recording of a record, and its run. Raises InputError."""
    found = stopped(settings, wanted)
    if found.past.mode != "live":
        raise InputError(f"{found.record.id} was no real run, but a {found.past.mode}.", "Record one that was.")
    drafted = drafts.planned_draft(settings, found.runbook, found.plan)
    here = seen(settings, drafted.environment, found.record.id, "live")
    here = {name: value for name, value in here.items() if name not in _MACHINE}
    intents = (attempt.intent for attempt in attempts(found.events))
    named = [intent.request["playbook"] for intent in intents if intent.kind == "playbook"]
    made = dependencies.read(settings).of(dict.fromkeys(named))
    return of(found.record, found.plan, here, made, settings.root), found


def load(settings: Settings, wanted: str) -> tuple[Recording, Runbook]:
    """The recording of a run with its page as it ran, or of a file with its page as it is now. Raises InputError."""
    if wanted.endswith(".json"):
        made = read(Path(wanted), settings.root)
        return made, catalog.load(settings, made.runbook)
    made, found = of_record(settings, wanted)
    return made, found.runbook


def record(settings: Settings, wanted: str, name: str | None, *, book: bool = False) -> tuple[Path, Replayed]:
    """Write the recording of a run beside its page if it replays. Raises InputError, and writes nothing then.

    With `book`, also write the notebook of its record, which replays when it is run.
    """
    made, found = of_record(settings, wanted)
    _check_straight(settings, found)
    target = _target(settings, made.runbook, name or made.outcome)
    text = render(made)
    if len(text.encode()) > LARGEST:
        said = f"The recording would have {len(text.encode()):,} bytes, and nobody reviews more than "
        raise InputError(f"{said}{LARGEST:,}.", "Record a run that prints and fetches less.")
    known = knowing(settings, {made.plan.environment: {}}, {})
    if known.holds(text):
        raise InputError("A secret of today stands in what would be written.", "opsbook records scan says where.")
    # Replay against the current page, as opsbook test will.
    played = replay(settings, catalog.load(settings, made.runbook), parsed(text, settings.root))
    if played.problems:
        raise InputError([f"{found.record.id} does not replay:", *played.problems], "Nothing was written.")
    content = _notebook(settings, found, target.name, known) if book else None
    target.parent.mkdir(exist_ok=True)
    files.write_atomic(target, text.encode())
    if content is not None:
        files.write_atomic(target.with_suffix(".ipynb"), content)
    return target, played


def _notebook(settings: Settings, found: Stopped, name: str, known: Redactor) -> bytes:
    content = notebook.replaying(found.record.text("runbook.ipynb"), found.runbook, name)
    text = content.decode()
    if len(content) > LARGEST or known.holds(text):
        raise InputError("The notebook holds a secret, or too much.", "Record without --notebook.")
    if str(settings.root) in text:
        said = "A cell printed the folder of the project, which is another one elsewhere."
        raise InputError(said, "Let it print less, or record without --notebook.")
    return content


def _check_straight(settings: Settings, found: Stopped) -> None:
    """Raises InputError for a run that no replay can reproduce, or whose environment or playbooks have changed."""
    run, environment = found.record.id, found.plan.environment
    if found.outcome not in _STRAIGHT:
        raise InputError(f"{run} is {found.outcome}, and a recording has an end.", "Record one that came to its end.")
    if any(event.type == RunResumed.type for event in found.events):
        raise InputError(f"{run} was resumed, and a recording is of one straight run.", "Record another one.")
    if flaws := seal.verify(found.record.folder):
        raise InputError(f"{run} is not as it was sealed: {flaws[0].file} {flaws[0].message}.", "Record another one.")
    if changed := drafts.changed_files(settings, found.plan, found.runbook.source):
        said = [f"{environment} or a playbook is not as it was in {run}:", *(f"{path} was changed" for path in changed)]
        raise InputError(said, "Run it again, and record that.")


def _target(settings: Settings, runbook: str, name: str) -> Path:
    if not usable(name):
        raise InputError(f"{name!r} is no name for a recording.", "Take letters, digits, - and _.")
    page = catalog.find(settings, runbook)
    return page.parent / FOLDER / f"{runbook}.{name}.json"


# -- as files: derived from the events of a record, written beside the runbook, read back


LARGEST = 512 * 1024
"""Bytes. Nobody reviews a larger one."""

OPERATOR = "operator@example"
"""Replaces the operator in the file of a recording, for privacy."""

_OWN = ("decide", "manual")
"""Kinds of opsbook's own questions."""

_RECORDING = TypeAdapter(Recording)


def of(record: Record, plan: Plan, context: Mapping[str, Any], playbooks: Mapping[str, str], root: Path) -> Recording:
    """The recording of a record. Raises InputError if the record cannot be read."""
    events = record.events()
    facts = list(map(fact_of, events))
    operator = next(fact.operator for fact in facts if isinstance(fact, RunStarted))
    asked = [fact.kind for fact in facts if isinstance(fact, QuestionAsked)]
    recording = Recording(
        format=1,
        runbook=plan.runbook,
        run=record.id,
        recorded=events[-1].time,
        opsbook=str(plan.versions.get("opsbook", "")),
        plan=plan,
        context={**context, "run": record.id, "operator": operator},
        present=any(kind in _OWN for kind in asked),
        outcome=str(record.summary()["outcome"]),
        steps=tuple(RecordedStep(each["step"], each["status"]) for each in summary.reached(summary.of(events))),
        replies=tuple(_replies(events)),
        takes=tuple(_takes(record, events)),
        playbooks=dict(playbooks),
    )
    return _moved(recording, _folder(root), PROJECT)


def _folder(root: Path) -> re.Pattern[str]:
    """Matches the project's folder as a whole path, not as part of another one."""
    return re.compile(rf"(?<![\w.\-/]){re.escape(str(root))}(?=/|$|[^\w.\-])")


def _replies(events: list[Event]) -> Iterator[Reply]:
    """Answers to opsbook's own questions: those of cells are results of effects."""
    kinds: dict[int, str] = {}
    for event in events:
        match fact_of(event):
            case QuestionAsked(kind=kind):
                kinds[event.seq] = kind
            case QuestionAnswered() as answer if kinds[answer.asked] in _OWN:
                yield Reply(answer.name, answer.value, answer.by, event.time, answer.note)


def _takes(record: Record, events: list[Event]) -> Iterator[Take]:
    """Every attempt in the order of their start, without those that were interrupted."""
    for attempt in attempts(events):
        intent, end = attempt.intent, attempt.result
        if end is None:
            continue
        yield Take(
            key=intent.key,
            kind=intent.kind,
            summary=intent.summary,
            changes=intent.changes,
            step=intent.step,
            request=dict(intent.request),
            status=Status(end.status),
            at=attempt.began,
            seconds=seconds_between(attempt.began, attempt.ended),
            result=side.result_of(record, end),
            why=end.why,
        )


def render(recording: Recording) -> str:
    """A recording in its canonical form: two of the same run are the same text."""
    recording = _moved(recording, str(recording.context["operator"]), OPERATOR)
    return json.dumps(asdict(recording), indent=1, ensure_ascii=False) + "\n"


def read(path: Path, root: Path) -> Recording:
    """The recording in a file. Raises InputError."""
    try:
        return parsed(files.read(path, within=files.ANYWHERE), root)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Name a recording.") from error
    except (ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        said = ": ".join(filter(None, (".".join(map(str, first["loc"])), str(first["msg"]))))
        raise InputError(f"{path} is no recording: {said}.", "Record the run again.") from error


def parsed(text: str | bytes, root: Path) -> Recording:
    """The recording in a text, with this project's paths. Raises ValueError and RecursionError."""
    found = _RECORDING.validate_json(text)
    _Seen.model_validate(found.context)
    for take in found.takes:
        if take.kind == "playbook":
            _Asked.model_validate(take.request)
    return _moved(found, PROJECT, str(root))


class _Seen(BaseModel):
    """The parts of `here` that a replay needs."""

    operator: str
    inventory: str
    hosts: list[str]
    groups: dict[str, list[str]]


class _Asked(BaseModel):
    """The parts of a playbook's request that a replay needs."""

    playbook: str
    inventory: str
    vars: dict[str, Any]


def _moved(recording: Recording, before: str | re.Pattern[str], after: str) -> Recording:
    """The recording with a text replaced everywhere."""
    return _RECORDING.validate_python(_replaced(asdict(recording), before, after))


def _replaced(value: Any, before: str | re.Pattern[str], after: str) -> Any:
    if isinstance(value, str):
        return value.replace(before, after) if isinstance(before, str) else before.sub(lambda _: after, value)
    if isinstance(value, Mapping):
        return {_replaced(key, before, after): _replaced(item, before, after) for key, item in value.items()}
    return [_replaced(item, before, after) for item in value] if isinstance(value, list | tuple) else value
