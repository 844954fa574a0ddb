"""The use cases. The only file that sees every stage; the edges (cli, web) call it and print.

A run, in order: read the runbook, load the environment, bind the parameters, resolve secrets, check that
every known question can be answered; only then is there a record; then the lock, then the engine, then
the seal. What is refused before the record exists leaves nothing behind.
"""

import asyncio
import contextlib
import getpass
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import opsbook
from opsbook import files
from opsbook.errors import InputError, OpsbookError, Refused
from opsbook.model.environment import Environment
from opsbook.model.event import Ending, Event, Outcome
from opsbook.model.person import Person
from opsbook.model.plan import Plan
from opsbook.model.redact import Redactor
from opsbook.model.runbook import Runbook
from opsbook.model.text import nearest
from opsbook.plan import bind, build
from opsbook.policy import environment as environments
from opsbook.policy import lock
from opsbook.record import journal, notebook, seal, store, summary
from opsbook.run import runner, secrets
from opsbook.settings import Settings
from opsbook.source import catalog, names


@dataclass(frozen=True)
class Request:
    """What a user asks for: `given` are parameter values as typed, `typed_secrets` were typed unseen."""

    runbook: str
    environment: str
    given: Mapping[str, str | list[str]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    typed_secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A request whose names are known; its parameters may still be missing."""

    runbook: Runbook
    environment: Environment
    bound: bind.Bound


@dataclass(frozen=True)
class Finished:
    """A run that ended. `quarantined` names files of the record in which a secret was found."""

    run: str
    folder: Path
    ending: Ending
    quarantined: tuple[str, ...] = ()


def draft(settings: Settings, request: Request) -> Draft:
    """Runbook, environment and what is bound so far. Raises InputError for anything that does not exist."""
    problems: list[str] = []
    found: list[Any] = []
    for load, name in ((catalog.load, request.runbook), (environments.load, request.environment)):
        try:
            found.append(load(settings, name))
        except InputError as error:
            problems += [*error.problems[:-1], f"{error.problems[-1]} {error.hint}".strip()]
    if problems:
        raise InputError(problems, "Nothing ran.")
    runbook, environment = found
    allowed = runbook.front.environments
    if allowed and environment.name not in allowed:
        raise InputError(f"{runbook.name} may not run in {environment.name}, only in {', '.join(allowed)}.")
    return Draft(runbook, environment, bind.bind(runbook.parameters, request.given, environment, request.typed_secrets))


def plan(settings: Settings, drafted: Draft) -> Plan:
    """The frozen plan. Raises InputError with every parameter that is wrong or missing."""
    bound = drafted.bound.complete(drafted.runbook.name)
    return build.build(drafted.runbook, drafted.environment, bound, _ground(settings, drafted.environment))


def _ground(settings: Settings, environment: Environment) -> build.Ground:
    playbooks, helpers = settings.playbooks, settings.helpers
    trees = {
        "playbooks": _tree(playbooks, skip=settings.inventories),
        "inventory": _tree(settings.root / environment.inventory),
        "helpers": _tree(helpers, skip=helpers / "opsbook"),
    }
    return build.Ground(trees, {"opsbook": opsbook.__version__, "ansible-core": version("ansible-core")})


def _tree(folder: Path, skip: Path | None = None) -> str:
    """SHA-256 over names and contents below a folder; hidden files and bytecode do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if any(part.startswith(".") or part == "__pycache__" for part in inner.parts):
            continue
        if path.is_file() and not (skip and path.is_relative_to(skip)):
            digest.update(f"{inner}\0{files.sha256(path)}\n".encode())
    return digest.hexdigest()


# -- running


def run(
    settings: Settings,
    request: Request,
    person: Person,
    on_start: Callable[[str, Plan, Runbook], Callable[[Event], None]],
) -> Finished:
    """Run a runbook to its end. `on_start` gets run id, plan and runbook, and returns what listens to events."""
    drafted = draft(settings, request)
    planned = plan(settings, drafted)
    redactor = Redactor()
    vault = _secrets(settings, drafted.environment, drafted.bound.secrets, request.typed_secrets, redactor)
    _check_answers(drafted.runbook, request.answers, person.present)
    return _recorded(settings, drafted, planned, request, person, redactor, vault, on_start)


def _secrets(
    settings: Settings, environment: Environment, bound: Mapping[str, str], typed: Mapping[str, str], redactor: Redactor
) -> secrets.Vault:
    inventory = secrets.vaulted(settings.root / environment.inventory, settings.vault_password_file)
    return secrets.load(environment.policy, bound, typed, settings.root, inventory, redactor)


def _check_answers(runbook: Runbook, answers: Mapping[str, str], present: bool) -> None:
    """Known questions have usable answers, or somebody is there to give them."""
    undo = runbook.undo() if runbook.front.rollback in ("automatic", "ask") else ()
    known = {question.name: question for question in names.questions((*runbook.forward(), *undo))}
    problems = [f"There is no question {name}. {nearest(name, known)}" for name in answers if name not in known]
    for name, question in known.items():
        allowed = question.choices
        if name in answers and allowed and answers[name] not in allowed:
            problems.append(f"{answers[name]!r} does not answer {name}: it takes {', '.join(allowed)}.")
        elif name not in answers and not present:
            example = allowed[0] if allowed else "…"
            problems.append(f"Nobody is there to answer {name} ({question.text}); give --answer {name}={example}.")
    if problems:
        raise InputError(problems, "Nothing ran, and nothing was changed.")


def _recorded(
    settings: Settings,
    drafted: Draft,
    planned: Plan,
    request: Request,
    person: Person,
    redactor: Redactor,
    vault: secrets.Vault,
    on_start: Callable[[str, Plan, Runbook], Callable[[Event], None]],
) -> Finished:
    with _undisturbed():
        folder = store.create(settings.records, planned.runbook, datetime.now(UTC))
        files.write_atomic(folder / "runbook.md", drafted.runbook.source.encode())
        content = json.dumps(redactor.value(planned.to_json()), indent=2, ensure_ascii=False) + "\n"
        files.write_atomic(folder / "plan.json", content.encode())
        book = journal.Journal(folder, redactor)
        hold = files.hold(folder / journal.NAME)
        book.listeners.append(on_start(folder.name, planned, drafted.runbook))
        job = _job(settings, drafted, planned, request, folder, hold)
        book.write("run-started", _started(job), durable=True)
        ending = _locked(settings, job, book, redactor, vault, person)
        ending = replace(ending, reason=redactor.text(ending.reason))
        book.write("run-finished", _finished(ending), durable=True)
        found = _close(drafted.runbook, folder, book, redactor)
        if not ending.keeps_lock:
            lock.release(settings.state, folder.name)
        if hold is not None:
            os.close(hold)
        target = seal.quarantine(folder, settings.records) if found else folder
    return Finished(folder.name, target, ending, tuple(found))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """From the first file of a record to its seal, a signal may only cancel what runs, never leave half a record."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _job(
    settings: Settings, drafted: Draft, planned: Plan, request: Request, folder: Path, hold: int | None
) -> runner.Job:
    return runner.Job(
        run=folder.name,
        plan=planned,
        runbook=drafted.runbook,
        environment=drafted.environment,
        operator=operator(),
        context=_context(settings, drafted.environment, folder.name, "live"),
        answers=request.answers,
        root=settings.root,
        inbox=folder / "inbox",
        hold=hold,
        keep_environment=settings.keep_environment,
    )


def _context(settings: Settings, environment: Environment, run_id: str, mode: str) -> dict[str, Any]:
    """What cells see as `here`."""
    policy = environment.policy
    return {
        "run": run_id,
        "mode": mode,
        "operator": operator(),
        "environment": environment.name,
        "sandbox": policy.sandbox,
        "settings": policy.settings,
        "urls": policy.urls,
        "contacts": list(policy.contacts),
        "hosts": list(environment.hosts),
        "groups": {name: list(hosts) for name, hosts in environment.groups.items()},
        "root": str(settings.root),
        "inventory": environment.inventory,
        "ansible_bin": str(ansible_bin()),
        "vault_password_file": str(settings.vault_password_file) if settings.vault_password_file else None,
    }


def operator() -> str:
    """Who runs this: user@host of the operating system."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def ansible_bin() -> Path:
    """The folder of ansible-playbook: beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent
    if (beside / "ansible-playbook").is_file():
        return beside
    found = shutil.which("ansible-playbook")
    return Path(found).parent if found else beside


def _started(job: runner.Job) -> dict[str, Any]:
    planned = job.plan
    return {
        "run": job.run,
        "runbook": planned.runbook,
        "title": planned.title,
        "environment": planned.environment,
        "operator": job.operator,
        "parameters": {
            **planned.parameters,
            **{name: f"secret from {ref}" for name, ref in planned.secrets.items()},
        },
        "plan": planned.digest,
        "mode": "live",
        "locks": list(planned.locks),
        "versions": dict(planned.versions),
        "pid": os.getpid(),
    }


def _finished(ending: Ending) -> dict[str, Any]:
    return {
        "outcome": str(ending.outcome),
        "reason": ending.reason,
        "exit_code": int(ending.exit_code),
        "changed": ending.changed,
        "keeps_lock": ending.keeps_lock,
        "seconds": ending.seconds,
    }


def _locked(
    settings: Settings,
    job: runner.Job,
    book: journal.Journal,
    redactor: Redactor,
    vault: secrets.Vault,
    person: Person,
) -> Ending:
    """Take the locks and run. A lock that another run holds ends this one as refused."""
    reason = f"{job.plan.title}"
    wanted = [lock.Lock(target, job.run, job.operator, reason, journal.now()) for target in job.plan.locks]
    try:
        lock.acquire(settings.state, wanted)
    except Refused as error:
        return Ending(Outcome.REFUSED, f"{error.message} {error.hint}".strip(), changed=False, seconds=0.0)
    book.write("locked", {"targets": list(job.plan.locks)})
    try:
        return asyncio.run(runner.run(job, book, redactor, vault, person))
    except OpsbookError as error:
        return Ending(Outcome.FAILED, f"{error.message} {error.hint}".strip(), changed=False, seconds=0.0)


def _close(runbook: Runbook, folder: Path, book: journal.Journal, redactor: Redactor) -> list[str]:
    """Derive what is derived, scan, seal. Returns the files in which a secret was found."""
    book.close()
    events = journal.read(folder / journal.NAME)
    told = summary.of(events)
    try:
        files.write_atomic(folder / "runbook.ipynb", notebook.build(runbook, events, told))
    except Exception as error:
        # The notebook is only derived: what it cannot show must not cost the record its seal.
        told["notebook"] = f"could not be made: {type(error).__name__}: {error}"
    found = seal.scan(folder, redactor)
    if found:
        told["quarantined"] = found
    files.write_atomic(folder / "record.json", (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
    seal.seal(folder, book.head)
    return found


# -- other processes


def send(settings: Settings, run_id: str, request: Mapping[str, str]) -> str:
    """Put a request into the inbox of a run that goes on; returns the run's id. Raises InputError otherwise."""
    record = store.find(settings.records, run_id)
    if record.state != "running":
        raise InputError(
            f"{record.id} does not run any more: it is {record.summary()['outcome']}.",
            "opsbook records show says more.",
        )
    name = f"{journal.now().replace(':', '')}-{os.getpid()}.json"
    files.write_atomic(record.folder / "inbox" / name, json.dumps({**request, "by": operator()}).encode())
    return record.id


def unlock(settings: Settings, target: str, reason: str) -> lock.Lock:
    """Take a lock from a run that does not go on any more, and keep who did it and why."""
    if not reason.strip():
        raise InputError("The reason is empty.", "Say why it is safe: --reason WHY.")
    for held in lock.holders(settings.state):
        if held.target == target and any(
            r.id == held.run and r.state == "running" for r in store.records(settings.records)
        ):
            raise Refused(f"{held.run} holds {target} and still runs.", f"Stop it first: opsbook cancel {held.run}.")
    taken = lock.unlock(settings.state, target)
    entry = {"time": journal.now(), "target": target, "run": taken.run, "by": operator(), "reason": reason}
    with (settings.state / "locks" / "unlocked.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return taken


# -- a notebook outside a run


def session(settings: Settings, descriptor: int, name: str | None) -> None:
    """Serve the gate of a notebook that was opened outside a run, until its kernel goes away."""
    known = [environments.load(settings, each) for each in environments.names(settings)]
    known.sort(key=lambda e: (not e.policy.sandbox, e.policy.order, e.name))
    if name is None and not known:
        raise InputError("There is no environment.", "One is a folder playbooks/inventories/NAME with a hosts.yml.")
    environment = environments.load(settings, name) if name else known[0]
    redactor = Redactor()
    vault = _secrets(settings, environment, {}, {}, redactor)
    context = _context(settings, environment, "session", "session")
    asyncio.run(runner.session(descriptor, environment, context, redactor, vault))
