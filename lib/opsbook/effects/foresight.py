"""What a check may believe of Ansible: which tasks would change something, and which would really run (ADR 13)."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsbook.effects.basic import here
from opsbook.errors import EffectRefused

READS = frozenset(
    """
    stat slurp find assert set_fact debug fail setup gather_facts getent service_facts package_facts wait_for
    include_vars add_host group_by pause meta
    """.split()  # noqa: SIM905  (a list of forty words reads better so)
)
"""Modules of ansible.builtin that change nothing on a host."""

_KEYWORDS = frozenset(
    """
    name when register vars loop tags args notify until retries delay environment become become_user become_method
    become_flags become_exe changed_when failed_when ignore_errors ignore_unreachable check_mode diff delegate_to
    delegate_facts run_once no_log listen loop_control any_errors_fatal async poll throttle timeout module_defaults
    collections connection debugger port remote_user block rescue always
    """.split()  # noqa: SIM905
)
_REASONS = ('"skip_reason"', '"false_condition"', '"skipped_reason"')
_LISTS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")
_TASKS, _ROLES = ("import_tasks", "include_tasks"), ("import_role", "include_role")
_LONGEST, _MOST = 160, 40
"""Characters of a line, and lines, of a diff that is kept; the event stream has all of it."""


def would(kind: str, data: Mapping[str, Any], result: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """What an event of a simulated playbook says; None if it says that nothing would happen.

    `said` is what Ansible printed of it: of a task that was skipped, ansible-runner hands on no result.
    """
    found = {"host": str(data.get("host")), "task": str(data.get("task"))}
    if kind == "runner_on_ok" and result.get("changed"):
        return {**found, "state": "changed", "diff": _diff(result)}
    # A condition that was not met is a reason; what cannot be simulated has none.
    if kind == "runner_on_skipped" and not any(reason in said for reason in _REASONS):
        return {**found, "state": "unknown", "diff": ""}
    return None


def _diff(result: Mapping[str, Any]) -> str:
    """The differences of a task, as text."""
    parts = [result, *(item for item in result.get("results") or () if isinstance(item, Mapping))]
    lines = [line for part in parts for diff in _listed(part.get("diff")) for line in _lines(diff)]
    more = [f"… {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
    # Where the project lies, whoever reads this knows.
    text = "\n".join([*(line[:_LONGEST] for line in lines[:_MOST]), *more])
    return text.replace(f"{here.root}/", "")


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Mapping)]


def _lines(diff: Mapping[str, Any]) -> list[str]:
    if "prepared" in diff:
        return str(diff["prepared"]).rstrip().split("\n")
    before, after = (_text(diff.get(side)).splitlines() for side in ("before", "after"))
    old, new = (str(diff.get(f"{side}_header") or "") for side in ("before", "after"))
    lines = list(difflib.unified_diff(before, after, old, new, lineterm="", n=1))
    return lines if old or new else lines[3:]


def _text(value: Any) -> str:
    """One side of a difference; some modules give it as attributes."""
    return "\n".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value or "")


def allow(playbook: str) -> None:
    """Raise EffectRefused if a check of the playbook would really do something."""
    folder = Path(here.root) / "playbooks"
    problems = list(dict.fromkeys(_Reader(folder, frozenset(here.check_reads)).playbook(folder / playbook)))
    if problems:
        said = "; ".join(problems)
        raise EffectRefused(
            f"playbook {playbook} cannot be checked: check_mode: false would really run {said}. "
            "A module that only reads can be named under [check] reads in opsbook.toml."
        )


class _Reader:
    """Reads a playbook and all that it includes, for tasks that a check would not simulate."""

    def __init__(self, folder: Path, reads: frozenset[str]) -> None:
        self._folder = folder
        self._reads = reads
        self._seen: set[tuple[Path, bool]] = set()

    def playbook(self, path: Path) -> Iterator[str]:
        for play in _load(path):
            other = _get(play, "import_playbook")
            if isinstance(other, str):
                for found in _paths(path.parent, other):
                    yield from self.playbook(found)
            yield from self._block(play, path, real=_real(play, inherited=False))
            for role in play.get("roles") or ():
                yield from self._role(role if isinstance(role, str) else _get(role, "role", "name"), play)

    def _block(self, block: Mapping[str, Any], path: Path, *, real: bool) -> Iterator[str]:
        for name in _LISTS:
            for task in _listed(block.get(name)):
                yield from self._task(task, path, real=_real(task, inherited=real))

    def _task(self, task: Mapping[str, Any], path: Path, *, real: bool) -> Iterator[str]:
        if "block" in task:
            yield from self._block(task, path, real=real)
            return
        module = next((k for k in task if k not in _KEYWORDS and not k.startswith("with_")), "")
        short, what = module.removeprefix("ansible.builtin."), task.get(module)
        if short in _TASKS:
            name = what if isinstance(what, str) else _get(what, "file")
            for found in _paths(path.parent, str(name)):
                yield from self._file(found, real=real)
        elif short in _ROLES:
            yield from self._role(_get(what, "name"), task)
        elif real and not (short in READS or module in self._reads or _only_gets(short, what)):
            yield f"{task.get('name') or module} ({module}, {path.relative_to(self._folder)})"

    def _role(self, name: Any, holder: Mapping[str, Any]) -> Iterator[str]:
        for folder in _paths(self._folder / "roles", str(name), what="*/"):
            for part in ("tasks", "handlers"):
                for path in sorted((folder / part).rglob("*.y*ml")):
                    yield from self._file(path, real=_real(holder, inherited=False))

    def _file(self, path: Path, *, real: bool) -> Iterator[str]:
        if (path, real) not in self._seen:
            self._seen.add((path, real))
            for task in _load(path):
                yield from self._task(task, path, real=_real(task, inherited=real))


def _only_gets(module: str, arguments: Any) -> bool:
    return module == "uri" and str(_get(arguments, "method") or "GET").upper() in ("GET", "HEAD")


def _real(holder: Mapping[str, Any], *, inherited: bool) -> bool:
    """Whether a task runs in a check as if it were none. What a template decides may be so."""
    said = holder.get("check_mode")
    return inherited if said is None else said is not True


def _paths(folder: Path, name: str, what: str = "**/*.y*ml") -> list[Path]:
    """The file or folder of this name; whatever it could be, where a template makes the name."""
    return sorted(folder.glob(what)) if "{{" in name else [folder / name]


def _get(value: Any, *names: str) -> Any:
    found = (value.get(n) or value.get(f"ansible.builtin.{n}") for n in names) if isinstance(value, Mapping) else ()
    return next((item for item in found if item), None)


def _load(path: Path) -> list[Mapping[str, Any]]:
    """The plays or tasks of a file. What cannot be read here, Ansible will not read either."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Ansible's own tags (!vault, !unsafe) say nothing about what runs."""

    Loader.add_multi_constructor("!", lambda *_: None)
    try:
        return _listed(yaml.load(path.read_text(encoding="utf-8"), Loader))  # noqa: S506  (a safe loader)
    except (OSError, ValueError, yaml.YAMLError):
        return []
