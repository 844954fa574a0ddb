"""Every event of the journal: what it is called, what it says, and since which format of the journal it is there.

Who writes an event makes a value of one of these; nothing else may be written. `docs/reference/journal.md` is made from
this file: the format is public, and a journal of an earlier version can still be read, so a field is never renamed,
and a new one has a default. A field that equals its default is left out of the journal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Self, dataclass_transform, get_args, get_origin, get_type_hints

from opsbook.core.model.event import Data, Event
from opsbook.errors import InputError

KINDS: "dict[str, type[Fact]]" = {}
"""Every kind of event, by the word that stands for it in the journal."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
@dataclass(frozen=True, kw_only=True)
class Fact:
    """What happened, as a value. Text is redacted where it is written."""

    type: ClassVar[str] = ""
    since: ClassVar[int] = 1

    def __init_subclass__(cls, type: str = "", since: int = 1) -> None:  # noqa: A002  (it is called so in the journal)
        cls.type, cls.since = type, since
        KINDS[type] = dataclass(frozen=True, kw_only=True)(cls)

    def data(self) -> Data:
        """The fields by the names that they have in the journal."""
        found: Data = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.default is MISSING or value != each.default:
                found[key(each)] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """The value that the data of an event stand for; other keys are passed over.

        Raises ValueError for a field that is missing or of another kind; `lenient` takes an empty value for it.
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
    """How a field stands in the journal: of which kinds of JSON it may be, and what is taken where there is nothing."""

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
"""What stands in JSON for a type; any other type stands for itself."""


@cache
def shape(name: str) -> tuple[_Field, ...]:
    """The fields of the kind of this name, as they stand in the journal."""
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
    """What an event says; None for a kind that this version does not know. Raises InputError where it says it badly.

    `lenient` takes what can be used: one damaged record must not hide the others in a list.
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
    """What a field is called in the journal: some words are Python's own."""
    return str(each.metadata.get("key", each.name))


def told(kind: type[Fact]) -> list[tuple[str, Any, str, bool]]:
    """The fields of a kind: name in the journal, type, meaning, and whether it is always there."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for each in fields(kind):
        hint = hints[each.name]
        found.append((key(each), hint.__origin__, str(hint.__metadata__[0]), each.default is MISSING))
    return found


# -- the run


class RunStarted(Fact, type="run-started"):
    """The first event: what runs, where, and who started it."""

    run: Annotated[str, "Id of the run."]
    runbook: Annotated[str, "Name of the page."]
    title: Annotated[str, "Title of the page."]
    environment: Annotated[str, "Name of the environment."]
    operator: Annotated[str, "Who started it, as user@host."]
    parameters: Annotated[Mapping[str, Any], "Values by name; of a secret, where it came from."]
    plan: Annotated[str, "Digest of the plan."]
    mode: Annotated[str, "live, check, notebook or replay."]
    labels: Annotated[Mapping[str, str], "Labels by name."] = field(default_factory=dict)
    locks: Annotated[Sequence[str], "Targets that it locks."]
    versions: Annotated[Mapping[str, str], "Versions of opsbook and Ansible."]
    pid: Annotated[int, "Process of the runner."]


class RunResumed(Fact, type="run-resumed"):
    """Somebody goes on with the run, or rolls it back."""

    operator: Annotated[str, "Who goes on with it, as user@host."]
    goal: Annotated[str, "resume or rollback."] = field(metadata={"key": "for"})
    start: Annotated[str, "Step from which it begins anew; empty without one."] = field(metadata={"key": "from"})
    by_hand: Annotated[bool, "Every step is done by a person."]
    cut: Annotated[int, "Bytes of a last line that was not whole, and was cut off."]
    outcome: Annotated[str, "How the run stood before."]
    seal: Annotated[Mapping[str, Any] | None, "The seal that was taken off; null if there was none."]
    anew: Annotated[Sequence[str], "Steps that run as if for the first time."]
    pid: Annotated[int, "Process of the runner."]


class RunFinished(Fact, type="run-finished"):
    """The last event of a run that came to its end, or stopped."""

    outcome: Annotated[str, "How it ended."]
    reason: Annotated[str, "One sentence."]
    exit_code: Annotated[int, "Exit code of the command."]
    changed: Annotated[bool, "Changes are left behind, or may be."]
    keeps_lock: Annotated[bool, "Its targets stay locked."]
    seconds: Annotated[float, "How long it took."]


class SourceEdited(Fact, type="source-edited"):
    """The page was changed on the way, by `resume --edit`."""

    by: Annotated[str, "Who changed it."]
    kept: Annotated[str, "File of the record with the page before."]
    patch: Annotated[str, "File of the record with the change."]
    sha256: Annotated[str, "SHA-256 of the page now."]


# -- before it begins


class WaitingForApproval(Fact, type="waiting-for-approval"):
    """It may not run yet, and waits."""

    why: Annotated[str, "What is missing."]
    hint: Annotated[str, "What to do about it."]


class WaitingForLock(Fact, type="waiting-for-lock"):
    """Another run holds a target, and it waits."""

    why: Annotated[str, "Who holds what."]
    hint: Annotated[str, "What to do about it."]


class Locked(Fact, type="locked"):
    """It holds its targets."""

    targets: Annotated[Sequence[str], "What is locked."]


class RunAllowed(Fact, type="allowed"):
    """It may run: whoever runs it signed it, and everything the environment asks for is there."""

    evidence: Annotated[Mapping[str, Any], "Who, with which approvals, windows and commits."]
    files: Annotated[Sequence[Mapping[str, Any]], "The signatures, as files of the record."]

    def data(self) -> Data:
        """The evidence stands beside the files, not below a name of its own."""
        return {**self.evidence, "files": self.files}

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """What stands beside the files is the evidence."""
        evidence = {name: value for name, value in data.items() if name != "files"}
        return super().of({"evidence": evidence, "files": data.get("files") or []}, lenient=lenient)


class LookStarted(Fact, type="look-started"):
    """Before it goes on, the prerequisites look again at what they found."""


class Differences(Fact, type="differences"):
    """What is different from when the run stopped."""

    lines: Annotated[Sequence[str], "One sentence each."]


# -- kernel and output


class KernelStarted(Fact, type="kernel-started"):
    """The process in which cells run is there."""

    pid: Annotated[int | None, "Its process."]


class KernelReplaced(Fact, type="kernel-replaced"):
    """The kernel was gone; another one takes its place, and what ran before is replayed in it."""


class ParametersInjected(Fact, type="parameters-injected"):
    """The parameters have their values."""

    source: Annotated[str, "The cell that assigned them, redacted."]


class CellStarted(Fact, type="cell-started"):
    """A cell runs, or is replayed."""

    cell: Annotated[str, "Id of the cell."]
    step: Annotated[str, "Id of its step."]
    line: Annotated[int, "Its first line in the page."]
    replay: Annotated[bool, "It succeeded before, and its effects are answered from the journal."] = False


class CellFinished(Fact, type="cell-finished"):
    """A cell has ended."""

    cell: Annotated[str, "Id of the cell."]
    status: Annotated[str, "succeeded, failed, timeout, cancelled, interrupted, died or waiting."]
    seconds: Annotated[float, "How long it took."]
    replay: Annotated[bool, "It was replayed."] = False
    tail: Annotated[str, "The end of what it printed, where that was too long for the journal."] = ""
    file: Annotated[Mapping[str, Any] | None, "The rest of what it printed, as a file of the record."] = None
    lost: Annotated[str, "Why some of what it printed could not be kept."] = ""
    why: Annotated[str, "What went wrong."] = ""
    count: Annotated[int | None, "IPython's number of it."]


class Output(Fact, type="output"):
    """Something that a cell printed or showed."""

    cell: Annotated[str, "Id of the cell; empty between two."]
    output: Annotated[Mapping[str, Any], "An output of nbformat."]


class OutputBetween(Fact, type="output-between"):
    """What was printed between two cells, where it was too long for the journal."""

    tail: Annotated[str, "Its end."] = ""
    file: Annotated[Mapping[str, Any] | None, "All of it, as a file of the record."] = None
    lost: Annotated[str, "Why some of it could not be kept."] = ""


class OutputGap(Fact, type="output-gap"):
    """Messages of the kernel did not arrive."""

    missing: Annotated[int, "How many."]


# -- steps


class StepStarted(Fact, type="step-started"):
    """A step begins, or is replayed."""

    step: Annotated[str, "Its id."]
    title: Annotated[str, "Its title."]
    section: Annotated[str, "Title of its section."]
    role: Annotated[str, "read, change or undo."]
    manual: Annotated[bool, "A person does it."]
    expected: Annotated[str, "What the page expects of it."]
    replay: Annotated[bool, "It is done with, and replayed."] = False


class StepFinished(Fact, type="step-finished"):
    """A step has ended."""

    step: Annotated[str, "Its id."]
    status: Annotated[str, "As of a cell; also skipped and unpredictable."]
    seconds: Annotated[float, "How long it took."]
    replay: Annotated[bool, "It was replayed."] = False
    why: Annotated[str, "What went wrong, or why it was skipped."] = ""


class RollbackStarted(Fact, type="rollback-started"):
    """The steps of the Rollback section run from now on."""

    reason: Annotated[str, "Why."]


# -- effects


class EffectIntent(Fact, type="effect-intent"):
    """An effect is about to happen: this is on disk before it does. Without a result, nobody knows what it did."""

    key: Annotated[str, "Names the effect in its run."]
    cell: Annotated[str, "Id of its cell."] = ""
    keyed: Annotated[bool, "The page gave the key."] = False
    anew: Annotated[bool, "What an earlier attempt at the cell did behind it no longer counts."] = False
    kind: Annotated[str, "playbook, command, http and others."]
    step: Annotated[str, "Id of its step."]
    summary: Annotated[str, "One line for a person."]
    changes: Annotated[bool, "It may change something."]
    idempotent: Annotated[bool, "It can be repeated."]
    request: Annotated[Mapping[str, Any], "What was asked for: all that decides what happens."]
    digest: Annotated[str, "SHA-256 of kind and request."]
    ignore: Annotated[Sequence[str], "What of its answer changes by itself, and is not compared."] = ()


class EffectProgress(Fact, type="effect-progress"):
    """What an effect is doing, for whoever watches."""

    intent: Annotated[int, "Number of its intent's event."]
    text: Annotated[str, "One line."]


class EffectResult(Fact, type="effect-result"):
    """How an effect ended: the cell goes on only when this is on disk."""

    intent: Annotated[int, "Number of its intent's event."]
    key: Annotated[str, "As of the intent."]
    status: Annotated[str, "succeeded, failed, simulated or interrupted."]
    digest: Annotated[str, "As of the intent."]
    result: Annotated[Any, "What it gave; in short, where it was too long for the journal."]
    why: Annotated[str, "What went wrong."] = ""
    file: Annotated[Mapping[str, Any] | None, "The whole result, as a file of the record."] = None
    lost: Annotated[str, "Why its result is not known whole."] = ""
    events: Annotated[Mapping[str, Any] | None, "What it reported while it went on, as a file of the record."] = None
    left_out: Annotated[Sequence[str], "Hosts that an operator goes on without."] = ()
    marked: Annotated[bool, "A person looked, and says that it did what it should."] = False


class EffectRecorded(Fact, type="effect-recorded"):
    """An effect was asked for again, and answered from the journal."""

    intent: Annotated[int, "Number of the intent's event that it repeats."]
    key: Annotated[str, "As of that intent."]


class RefusedEffect(Fact, type="effect-refused"):
    """An effect was asked for where it may not be."""

    summary: Annotated[str, "One line for a person."]
    why: Annotated[str, "Which rule forbids it."]


# -- people


class QuestionAsked(Fact, type="question-asked"):
    """Somebody has to answer."""

    name: Annotated[str, "Name of the question, for `--answer`."]
    kind: Annotated[str, "text, confirm, decide, manual or secret."]
    text: Annotated[str, "The question."]
    choices: Annotated[Sequence[str], "Answers that it takes; any, if there is none."]
    detail: Annotated[str, "What to know before one answers."] = ""
    remarks: Annotated[Sequence[str], "What each choice means."] = ()


class QuestionAnswered(Fact, type="question-answered"):
    """Somebody answered."""

    name: Annotated[str, "Name of the question."]
    value: Annotated[str, "The answer; of a secret, its mark."]
    by: Annotated[str, "Who answered."]
    note: Annotated[str, "What they wrote with it."]
    asked: Annotated[int, "Number of the question's event."] = 0


class Detached(Fact, type="detached"):
    """The terminal is gone, and the run goes on without it."""

    why: Annotated[str, "What became of it."]


class CancelRequested(Fact, type="cancel-requested"):
    """Somebody wants the run to stop."""

    by: Annotated[str, "Who."]
    level: Annotated[int, "1: after what goes on; 2: now; 3: by force."]


class RequestTaken(Fact, type="request-taken"):
    """Another terminal's request was carried out."""

    request: Annotated[Mapping[str, Any], "Its kind (cancel, answer, note), who sent it, and what it says."]

    def data(self) -> Data:
        """The request as it came."""
        return dict(self.request)

    @classmethod
    def of(cls, data: Data, *, lenient: bool = False) -> Self:
        """All of it is the request."""
        return cls(request=data)


class RequestRefused(Fact, type="request-refused"):
    """Another terminal's request was not carried out."""

    file: Annotated[str, "Its file."]
    why: Annotated[str, "What is wrong with it."]
