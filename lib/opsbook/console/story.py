"""Texts that the plain and the live view share: usual durations, events of the run itself, and its end."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsbook.console.text import plain
from opsbook.core.model import events as kinds
from opsbook.core.model.approval import HERE
from opsbook.core.model.effect import Mode
from opsbook.core.model.outcome import GOOD, Exit, Outcome
from opsbook.core.model.plan import Plan
from opsbook.core.model.runbook import Role
from opsbook.core.model.text import duration, flat, one_line, quoted, some
from opsbook.settings import Settings

if TYPE_CHECKING:
    from opsbook.operate.run_record import Finished

SEE = "see above"
_AGAIN = re.compile(rf"{SEE}((; |\n- ){SEE})+")
_SHORT = 80
"""Characters. A shorter reason may be said again: it takes no line of its own."""

_WORTH_SAYING = 1.0
"""Seconds; the usual duration of a shorter step is not shown."""

_WORTH_WAITING = 5.0
"""Seconds; less is not said to be left."""

_MOST_CHANGES = 6
"""Effects of a run that succeeded which are listed at its end."""

FAILED = ("failed", "timeout", "died")
"""Statuses of a step that did not succeed by itself."""

_STOPPING = {
    1: "stopping before the next effect (cancelled by {by}); once more interrupts it",
    2: "interrupting what is under way (cancelled by {by}); once more ends every process",
    3: "ending every process (cancelled by {by})",
}
"""What a request to stop does, by how often it was sent."""


class Story:
    """What the views show of a run besides its events.

    `idle`: the running step has had nothing to do so far: no effect, no output, no question.
    """

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._usual: Mapping[str, float] = {}
        self._steps: list[str] = []
        self._step = ""
        self._failures: dict[str, str] = {}
        self.idle = True

    def begin(self, plan: Plan, usual: Mapping[str, float]) -> None:
        self._plan = plan
        self._usual = usual

    def take(self, fact: kinds.Fact | None) -> None:
        """Follow the run."""
        match fact:
            case kinds.RunStarted(steps=steps):
                self._steps = [str(step["step"]) for step in steps if step.get("role") != Role.UNDO]
            case kinds.StepStarted(manual=manual):
                self.idle = not manual
            case kinds.EffectIntent() | kinds.Output() | kinds.QuestionAsked() | kinds.RefusedEffect():
                self.idle = False

    @property
    def place(self) -> str:
        """`step 3 of 9`; empty in a rollback, and in a record that does not say how many there are."""
        return f"step {self._steps.index(self._step) + 1} of {len(self._steps)}" if self._step in self._steps else ""

    def left(self, spent: float) -> str:
        """`about 2m left`, from usual times; empty if most of the steps to come have none, or if it is short."""
        if self._step not in self._steps:
            return ""
        to_come = self._steps[self._steps.index(self._step) :]
        known = [step for step in to_come if step in self._usual]
        seconds = sum(self._usual[step] for step in known) - min(spent, self._usual.get(self._step, 0.0))
        return f"about {duration(seconds)} left" if 2 * len(known) > len(to_come) and seconds >= _WORTH_WAITING else ""

    def usual(self, step: str) -> str:
        """A step begins: `(usually 25 s)`, as in earlier successful runs; empty if unknown or too short to matter."""
        self._step = step
        # What fails again in another attempt is said again.
        self._failures = {failure: where for failure, where in self._failures.items() if where != step}
        return f"(usually {duration(self._usual[step])})" if self._usual.get(step, 0) >= _WORTH_SAYING else ""

    def task(self, progress: kinds.EffectProgress) -> list[str]:
        """A task that ended: a line, and below it what belongs to it."""
        self._failures |= dict.fromkeys(progress.failures, self._step)
        below = (line.replace("\n", "\n      ") for line in (*progress.failures, *progress.lines))
        return [progress.text, *(f"  {line}" for line in below)]

    def reason(self, ended: kinds.StepFinished) -> str:
        """Why a step ended so, without failures that were shown."""
        why = self.once(ended.why)
        if ended.status in FAILED and (len(why) > _SHORT or why != ended.why):
            self._failures[ended.why] = ended.step
        return why

    def once(self, text: str) -> str:
        """The text; failures in it that were shown before are replaced by a reference."""
        for failure in sorted(self._failures, key=len, reverse=True):
            text = text.replace(failure, SEE).replace(" ".join(failure.split()), SEE)
        found = _AGAIN.sub(SEE, text)
        return "" if found == f"- {SEE}" else found

    def ending(self, finished: "Finished", settings: Settings) -> Iterator[str]:
        """The closing lines: what changed, what is unknown, where the record is, what to do next."""
        ending, told = finished.ending, finished.told
        yield from would(told.get("check") or {})
        changed, undone, unknown = ([], [], []) if told.get("mode") == Mode.CHECK else did(told)
        if ending.outcome in GOOD:
            more = [f"and {len(changed) - _MOST_CHANGES} more"] if len(changed) > _MOST_CHANGES else []
            yield from listed("Changed", changed[:_MOST_CHANGES] + more)
        else:
            unsure = bool(unknown) or ending.changed
            said = "Nobody knows for sure what was changed." if unsure else "Nothing was changed."
            yield from listed("Changed", changed) if changed else [f"  {said}"]
            yield from listed("Undone by", undone)
            yield from listed("Unknown: look before you go on", [self.once(line) for line in unknown])
        yield from listed("Wrote", [shown(path, settings) for path in finished.left])
        yield f"  record  {shown(finished.folder, settings)}"
        if ending.outcome in GOOD:
            yield f"  more    opsbook records show {finished.run}"
        if finished.quarantined:
            yield f"  QUARANTINED: a secret was found in {', '.join(finished.quarantined)}"
            yield "  Only you can read the record now; change that secret."
        patches = sorted(finished.folder.glob("edit-*.patch"))
        yield from listed("Its page was edited", [f"git apply {shown(patch, settings)}" for patch in patches])
        yield from listed("Next", list(self._next(finished)))

    def _next(self, finished: "Finished") -> Iterator[str]:
        ending, run = finished.ending, finished.run
        if ending.outcome in GOOD:
            return
        if ending.outcome is not Outcome.REFUSED:
            yield f"opsbook records show {run}"
        if ending.exit_code in (Exit.STOPPED, Exit.NOT_ROLLED_BACK):
            yield f"opsbook resume {run}"
        if ending.keeps_lock and ending.undoable and ending.outcome is not Outcome.ROLLBACK_FAILED:
            yield f"opsbook rollback {run}"
        if ending.keeps_lock and self._plan is not None:
            for target in self._plan.locks:
                yield f"opsbook unlock {target} --reason WHY   once you have put it right by hand"


def said(fact: kinds.Fact | None) -> list[str]:
    """What happened to the run itself, in words; nothing for what happened in it."""
    lines: list[str] = []
    match fact:
        case kinds.RunResumed():
            what = "rolled back" if fact.goal == "rollback" else "resumed"
            lines = [f"{what} by {fact.operator}; it was {fact.outcome}"]
            lines += [f"changed since, and not used: {some(fact.saved)}"] if fact.saved else []
        case kinds.WaitingForLock(why=why, hint=hint) | kinds.WaitingForApproval(why=why, hint=hint):
            lines = [f"waiting: {line}" for line in f"{why}\n{hint}".strip().split("\n")]
        case kinds.RunAllowed(evidence=evidence):
            lines = list(_allowed(evidence))
        case kinds.LookStarted():
            lines = ["looking at what has become of the prerequisites"]
        case kinds.Differences(lines=found):
            lines = ["changed since then:", *(f"  {line}" for line in found)]
        case kinds.Detached(why=why):
            lines = [f"going on without this terminal: {why}"]
        case kinds.CancelRequested(by=by, level=level):
            lines = [_STOPPING[min(max(level, 1), 3)].format(by=by)]
    return [flat(each) for each in lines]


def _allowed(data: Mapping[str, Any]) -> Iterator[str]:
    if data.get("emergency"):
        yield f"EMERGENCY: {data['emergency']}; somebody else reviews it within {data['review_within']}"
    if data.get("not_promoted"):
        yield f"not promoted: {data['not_promoted']}"
    yield from map(promoted, data.get("promotion") or ())
    yield from (f"approved by {each['principal']}" for each in data.get("approvals") or ())
    if data.get("spent") == HERE:
        yield "its approval is spent here only: clones of other users, or on other hosts, do not know of it"
    if data["operator"].get("principal"):
        yield f"signed by {data['operator']['principal']}"


def promoted(proof: Mapping[str, Any]) -> str:
    """Why a release may come where it is put, in a sentence."""
    found = proof.get("served")
    served = duration(found if isinstance(found, int) else None)
    return f"promoted from {proof.get('after')}: {proof.get('file')} was there for {served}, by {proof.get('run')}"


def did(told: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Effects of a run: those that changed something, those that undid it, and those of unknown outcome."""
    steps = {step["step"]: step for step in told.get("steps") or ()}
    changed: list[str] = []
    undone: list[str] = []
    unknown: list[str] = []
    for effect in told.get("effects") or ():
        step = steps.get(effect["step"], {})
        line = f"{step.get('title', effect['step'])}: {effect['summary']}"
        if not effect["changes"] or effect["status"] == "simulated":
            continue
        if effect["status"] in ("unknown", "interrupted"):
            unknown += [line, *(f"  {why}" for why in (effect.get("why"),) if why)]
        elif effect["changed"] is not False:
            lines = undone if step.get("role") == Role.UNDO else changed
            lines.append(line + ("" if effect["status"] == "succeeded" else " (failed half-way)"))
    return changed, undone, unknown


def would(check: dict[str, Any]) -> Iterator[str]:
    """What a check found: tasks and hosts with their differences, what is unknown, and what a run would need."""
    if not check:
        return
    changed, unknown = ([task for task in check["tasks"] if task["state"] == state] for state in ("changed", "unknown"))
    unsaid = [f"{one['title']}: {one['why']}" for one in check["unpredictable"]]
    yield from listed("Would change", [*_each(changed)] or ["nothing that is known"])
    yield from listed("Would do", [f"{one['title']}: {one['summary']}" for one in check["skipped"]])
    yield from listed("Unknown", [*_each(unknown), *unsaid])
    yield from listed("By hand", check["by_hand"])
    held = {one["target"]: f"  (held by {one['held_by']})" if one["held_by"] else "" for one in check["locks"]}
    yield from listed("Would lock", [f"{target}{holder}" for target, holder in held.items()])
    yield from listed("Would need", check.get("needs") or [])
    hosts = {task["host"] for task in changed}
    yield f"  {len(changed)} tasks on {len(hosts)} hosts; {len(unknown) + len(unsaid)} unknown"


def _each(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Each task with its hosts and its diff; hosts whose diffs differ only by the host's name share one."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in tasks:
        found.setdefault((one["task"], str(one["diff"]).replace(one["host"], "")), []).append(one)
    for (task, _), same in found.items():
        yield f"{task}: {', '.join(sorted(one['host'] for one in same))}"
        yield from (f"    {plain(line)}" for line in str(same[0]["diff"]).splitlines())


def values(plan: Plan) -> str:
    """The parameters of a run on one line."""
    return " ".join(f"{name}={one_line(quoted(value), 40)}" for name, value in plan.parameters.items())


def shown(folder: Path, settings: Settings) -> str:
    """The path of a record as a person would type it."""
    return str(folder.relative_to(settings.root) if folder.is_relative_to(settings.root) else folder)


def listed(label: str, lines: list[str]) -> Iterator[str]:
    """Indented lines below a label; nothing if there are no lines."""
    if lines:
        yield f"  {label}"
        yield from (f"    {line}" for line in lines)
