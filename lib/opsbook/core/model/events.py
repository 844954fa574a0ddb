"""Every event of the journal: its name, its fields, and the format of the journal since which it exists.

Only values of these classes may be written. `docs/reference/journal.md` is generated from this file. The format is
public, and journals of earlier versions stay readable, so a field is never renamed, and a new one has a default.
A field that equals its default is omitted from the journal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Self, dataclass_transform, get_args, get_origin, get_type_hints

from opsbook.core.model.event import Data, Event
from opsbook.errors import InputError

KINDS: "dict[str, type[Fact]]" = {}
"""Every kind of event, by its name in the journal."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
@dataclass(frozen=True, kw_only=True)
class Fact:
    """What happened, as a value. The sink redacts its text."""

    type: ClassVar[str] = ""
    since: ClassVar[int] = 1

    def __init_subclass__(cls, type: str = "", since: int = 1) -> None:  # noqa: A002  (its name in the journal)
        cls.type, cls.since = type, since
        KINDS[type] = dataclass(frozen=True, kw_only=True)(cls)

    def data(self) -> Data:
        """The fields by their names in the journal."""
        found: Data = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.default is MISSING or value != each.default:
                found[key(each)] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """Build the value from the data of an event; unknown keys are ignored.

        Raises ValueError for a field that is missing or of the wrong type; `lenient` uses an empty value instead.
        """
        values = {}
        for each in shape(cls.type):
            value = data.get(each.key, MISSING)
            if value is MISSING and each.optional:
                continue
            if not each.fits(value):
                if not lenient:
                    raise ValueError(f"{each.key} is {'missing' if value is MISSING else 'of another kind'}")
                value = each.empty
            values[each.name] = each.made(value)
        return cls(**values)


@dataclass(frozen=True)
class _Field:
    """A field as it is in the journal: its JSON types, the type of its items, and whether it is optional."""

    name: str
    key: str
    kinds: tuple[type, ...]
    item: type | None
    optional: bool

    def fits(self, value: Any) -> bool:
        if value is MISSING:
            return False
        return not self.kinds or (isinstance(value, self.kinds) and (type(value) is not bool or bool in self.kinds))

    def made(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return tuple(str(each) if self.item is str else each for each in value)

    @property
    def empty(self) -> Any:
        return None if not self.kinds or type(None) in self.kinds else self.kinds[0]()


_KINDS = {Mapping: (dict,), Sequence: (list,), float: (float, int)}
"""JSON types of a Python type; any other type is its own."""


@cache
def shape(name: str) -> tuple[_Field, ...]:
    """The fields of the kind with this name, as they are in the journal."""
    kind, found = KINDS[name], []
    for each in fields(kind):
        hint = get_args(get_type_hints(kind, include_extras=True)[each.name])[0]
        parts = (hint,) if get_origin(hint) in (Mapping, Sequence) or not get_args(hint) else get_args(hint)
        kinds = [json for part in parts for json in _KINDS.get(get_origin(part) or part, (get_origin(part) or part,))]
        item = next((get_args(part)[0] for part in parts if get_origin(part) is Sequence), None)
        optional = each.default is not MISSING or each.default_factory is not MISSING
        found.append(_Field(each.name, key(each), () if Any in kinds else tuple(kinds), item, optional))
    return tuple(found)


def read(event: Event, *, lenient: bool = False) -> Fact | None:
    """The value of an event; None for a kind that this version does not know. Raises InputError for invalid data.

    `lenient` reads what is valid: one damaged record must not hide the others in a list.
    """
    kind = KINDS.get(event.type)
    if kind is None or not isinstance(event.data, dict):
        return None
    try:
        return kind.of(event.data, lenient=lenient)
    except ValueError as error:
        said = f"Event {event.seq} of the journal, {event.type}, cannot be used: {error}."
        raise InputError(said, "opsbook records verify says whether it was changed.") from error


def key(each: Any) -> str:
    """The name of a field in the journal; it differs where the name is a Python keyword."""
    return str(each.metadata.get("key", each.name))


# -- the run


class RunStarted(Fact, type="run-started"):
    """The first event: what runs, where, and who started it."""

    run: Annotated[str, "Id of the run."]
    runbook: Annotated[str, "Name of the page."]
    title: Annotated[str, "Title of the page."]
    environment: Annotated[str, "Name of the environment."]
    operator: Annotated[str, "Who started it, as user@host."]
    parameters: Annotated[Mapping[str, Any], "Values by name; for a secret, its reference."]
    plan: Annotated[str, "Digest of the plan."]
    mode: Annotated[str, "live, check, notebook, session or replay."]
    labels: Annotated[Mapping[str, str], "Labels by name."] = field(default_factory=dict)
    locks: Annotated[Sequence[str], "Targets to lock."]
    versions: Annotated[Mapping[str, str], "Versions of opsbook and Ansible."]
    pid: Annotated[int, "Process of the runner."]
    steps: Annotated[Sequence[Mapping[str, Any]], "Its steps in order: id, title, section and role of each."] = ()
    commit: Annotated[str, "Commit of the project, and whether the page differs; empty if unknown."] = ""
    cwd: Annotated[str, "Folder in which cells run, if it is not the project's."] = ""


class RunResumed(Fact, type="run-resumed"):
    """An operator resumes the run, or rolls it back."""

    operator: Annotated[str, "Who resumes it, as user@host."]
    goal: Annotated[str, "resume or rollback."] = field(metadata={"key": "for"})
    start: Annotated[str, "Step from which it resumes; empty if none was given."] = field(metadata={"key": "from"})
    by_hand: Annotated[bool, "Every step is done by a person."]
    cut: Annotated[int, "Bytes of an incomplete last line that were cut off."]
    outcome: Annotated[str, "Outcome of the run before."]
    seal: Annotated[Mapping[str, Any] | None, "The seal that was removed; null if there was none."]
    anew: Annotated[Sequence[str], "Steps that run again from their beginning."]
    pid: Annotated[int, "Process of the runner."]
    saved: Annotated[Sequence[str], "Files that were changed since; the run uses them as they were."] = ()


class RunFinished(Fact, type="run-finished"):
    """The last event of a run that finished or stopped."""

    outcome: Annotated[str, "How it ended."]
    reason: Annotated[str, "One sentence."]
    exit_code: Annotated[int, "Exit code of the command."]
    changed: Annotated[bool, "Changes remain, or may remain."]
    keeps_lock: Annotated[bool, "Its targets stay locked."]
    seconds: Annotated[float, "How long it took."]


class SourceEdited(Fact, type="source-edited"):
    """The page was changed during the run, by `resume --edit`."""

    by: Annotated[str, "Who changed it."]
    kept: Annotated[str, "File of the record with the page as it was."]
    patch: Annotated[str, "File of the record with the change."]
    sha256: Annotated[str, "SHA-256 of the changed page."]
    steps: Annotated[Sequence[Mapping[str, Any]], "Its steps in order, as of a run that starts."] = ()


# -- before the start


class WaitingForApproval(Fact, type="waiting-for-approval"):
    """The run waits for an approval or a window."""

    why: Annotated[str, "What is missing."]
    hint: Annotated[str, "What to do about it."]


class WaitingForLock(Fact, type="waiting-for-lock"):
    """The run waits for a lock that another run holds."""

    why: Annotated[str, "Who holds what."]
    hint: Annotated[str, "What to do about it."]


class Locked(Fact, type="locked"):
    """The run holds its locks; a session takes more of them as its person goes on."""

    targets: Annotated[Sequence[str], "Locked targets."]


class RunAllowed(Fact, type="allowed"):
    """The run may begin: its operator signed it, and all requirements of the environment are met."""

    evidence: Annotated[Mapping[str, Any], "The operator, approvals, windows and commits."]
    files: Annotated[Sequence[Mapping[str, Any]], "The signatures, as files of the record."]

    def data(self) -> Data:
        """The evidence at the top level, beside `files`."""
        return {**self.evidence, "files": self.files}

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """Everything beside `files` is the evidence."""
        evidence = {name: value for name, value in data.items() if name != "files"}
        return super().of({"evidence": evidence, "files": data.get("files") or []}, lenient=lenient)


class LookStarted(Fact, type="look-started"):
    """The recheck of the prerequisites begins, before the run resumes."""


class Differences(Fact, type="differences"):
    """What changed since the run stopped."""

    lines: Annotated[Sequence[str], "One sentence each."]


# -- kernel and output


class KernelStarted(Fact, type="kernel-started"):
    """The kernel started: the process in which cells run."""

    pid: Annotated[int | None, "Process of the kernel."]


class KernelReplaced(Fact, type="kernel-replaced"):
    """A dead kernel is replaced; finished steps are replayed in the new one."""


class ParametersInjected(Fact, type="parameters-injected"):
    """The parameters are set."""

    source: Annotated[str, "The cell that assigned them, redacted."]


class CellStarted(Fact, type="cell-started"):
    """A cell begins, or is replayed."""

    cell: Annotated[str, "Id of the cell."]
    step: Annotated[str, "Id of its step."]
    line: Annotated[int, "Its first line in the page."]
    replay: Annotated[bool, "It ran before, and its effects are answered from the journal."] = False


class CellFinished(Fact, type="cell-finished"):
    """A cell has ended."""

    cell: Annotated[str, "Id of the cell."]
    status: Annotated[str, "succeeded, failed, timeout, cancelled, died, waiting or unpredictable."]
    seconds: Annotated[float, "How long it took."]
    replay: Annotated[bool, "It was replayed."] = False
    tail: Annotated[str, "The end of its output, if that was too long for the journal."] = ""
    file: Annotated[Mapping[str, Any] | None, "The rest of its output, as a file of the record."] = None
    lost: Annotated[str, "Why some of its output could not be kept."] = ""
    why: Annotated[str, "What went wrong."] = ""
    count: Annotated[int | None, "IPython's execution count."]


class Output(Fact, type="output"):
    """A cell printed or displayed something."""

    cell: Annotated[str, "Id of the cell; empty between cells."]
    output: Annotated[Mapping[str, Any], "Output in nbformat."]


class OutputProgress(Fact, type="output-progress"):
    """A cell goes on printing, after its output was too long for the journal. The file of the cell has all of it."""

    cell: Annotated[str, "Id of the cell."]
    text: Annotated[str, "Its latest line."]


class OutputBetween(Fact, type="output-between"):
    """Output between two cells was too long for the journal."""

    tail: Annotated[str, "Its end."] = ""
    file: Annotated[Mapping[str, Any] | None, "All of it, as a file of the record."] = None
    lost: Annotated[str, "Why some of it could not be kept."] = ""


class OutputGap(Fact, type="output-gap"):
    """Output messages of the kernel were lost."""

    missing: Annotated[int, "How many."]


# -- steps


class StepStarted(Fact, type="step-started"):
    """A step begins, or is replayed."""

    step: Annotated[str, "Its id."]
    title: Annotated[str, "Its title."]
    section: Annotated[str, "Title of its section."]
    role: Annotated[str, "read, change or undo."]
    manual: Annotated[bool, "A person does it."]
    expected: Annotated[str, "Expected result, as the page gives it."]
    replay: Annotated[bool, "It finished before, and is replayed."] = False


class StepFinished(Fact, type="step-finished"):
    """A step has ended."""

    step: Annotated[str, "Its id."]
    status: Annotated[str, "As for a cell; also skipped."]
    seconds: Annotated[float, "How long it took."]
    replay: Annotated[bool, "It was replayed."] = False
    why: Annotated[str, "What went wrong, or why it was skipped."] = ""


class RollbackStarted(Fact, type="rollback-started"):
    """The rollback begins: the steps of the Rollback section follow."""

    reason: Annotated[str, "Why."]
    steps: Annotated[Sequence[Mapping[str, Any]], "Its steps in order, as of a run that starts."] = ()


# -- effects


class EffectIntent(Fact, type="effect-intent"):
    """An effect is about to happen; this is on disk before it does. Without a result, its outcome is unknown."""

    key: Annotated[str, "Identifies the effect in its run."]
    cell: Annotated[str, "Id of its cell."] = ""
    keyed: Annotated[bool, "The page gave the key."] = False
    anew: Annotated[bool, "Later effects of an earlier attempt at the cell no longer count."] = False
    kind: Annotated[str, "playbook, command, http and others."]
    step: Annotated[str, "Id of its step."]
    summary: Annotated[str, "One line for a person."]
    changes: Annotated[bool, "It may change something."]
    idempotent: Annotated[bool, "It can be repeated safely."]
    request: Annotated[Mapping[str, Any], "The request: everything that decides what happens."]
    digest: Annotated[str, "SHA-256 of kind, changes and request."]
    ignore: Annotated[Sequence[str], "Values of its answer that change by themselves, and are not compared."] = ()


class EffectProgress(Fact, type="effect-progress"):
    """Progress of an effect, for people who watch."""

    intent: Annotated[int, "Event number of its intent."]
    text: Annotated[str, "One line."]
    ended: Annotated[bool, "A task of a playbook ended, or a play began: the line stays on the screen."] = False
    lines: Annotated[Sequence[str], "What debug printed, and changed files."] = ()
    failures: Annotated[Sequence[str], "Failures, with hosts, task, message and the playbook's line."] = ()


class EffectOutput(Fact, type="effect-output"):
    """A program of an effect printed something; for people who watch, and kept if the effect is interrupted."""

    intent: Annotated[int, "Event number of its intent."]
    name: Annotated[str, "stdout or stderr."]
    text: Annotated[str, "Whole lines."]


class EffectResult(Fact, type="effect-result"):
    """An effect ended; the cell continues only when this is on disk."""

    intent: Annotated[int, "Event number of its intent."]
    key: Annotated[str, "As in the intent."]
    status: Annotated[str, "succeeded, failed, simulated or interrupted."]
    digest: Annotated[str, "As in the intent."]
    result: Annotated[Any, "Its result; a short form, if it was too long for the journal."]
    why: Annotated[str, "What went wrong."] = ""
    file: Annotated[Mapping[str, Any] | None, "The full result, as a file of the record."] = None
    lost: Annotated[str, "Why part of its result is unknown."] = ""
    events: Annotated[Mapping[str, Any] | None, "Its event stream, as a file of the record."] = None
    left_out: Annotated[Sequence[str], "Hosts that the operator left out."] = ()
    marked: Annotated[bool, "A person checked it, and marked it as done."] = False


class EffectRecorded(Fact, type="effect-recorded"):
    """An effect was asked for again, and answered from the journal."""

    intent: Annotated[int, "Event number of the intent that it repeats."]
    key: Annotated[str, "As in that intent."]


class RefusedEffect(Fact, type="effect-refused"):
    """The gate refused an effect."""

    summary: Annotated[str, "One line for a person."]
    why: Annotated[str, "Why."]


# -- people


class QuestionAsked(Fact, type="question-asked"):
    """The run asks a person."""

    name: Annotated[str, "Name of the question, for `--answer`."]
    kind: Annotated[str, "ask, confirm, decide or manual."]
    text: Annotated[str, "The question."]
    choices: Annotated[Sequence[str], "Valid answers; empty for free text."]
    detail: Annotated[str, "Background for the answer."] = ""
    remarks: Annotated[Sequence[str], "Choices that also ask for a note."] = ()


class QuestionAnswered(Fact, type="question-answered"):
    """A person answered."""

    name: Annotated[str, "Name of the question."]
    value: Annotated[str, "The answer, redacted."]
    by: Annotated[str, "Who answered."]
    note: Annotated[str, "Note with the answer."]
    asked: Annotated[int, "Event number of the question."] = 0


class Detached(Fact, type="detached"):
    """The terminal is gone, and the run continues without it."""

    why: Annotated[str, "Why the terminal is gone."]


class CancelRequested(Fact, type="cancel-requested"):
    """A person asked the run to stop."""

    by: Annotated[str, "Who."]
    level: Annotated[int, "1: before the next effect; 2: now; 3 and more: by force."]


class RequestTaken(Fact, type="request-taken"):
    """Another terminal's request was carried out."""

    request: Annotated[Mapping[str, Any], "Its kind (cancel, answer, note), its sender, and its content."]

    def data(self) -> Data:
        """The request itself."""
        return dict(self.request)

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """All data are the request."""
        return cls(request=data)


class RequestRefused(Fact, type="request-refused"):
    """Another terminal's request was not carried out."""

    file: Annotated[str, "Its file."]
    why: Annotated[str, "Why not."]
