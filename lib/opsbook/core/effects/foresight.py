"""Checks of playbooks: which tasks would change something, and which would really run (ADR 13)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opsbook.core.effects.basic import here
from opsbook.core.model.differ import ansible_diff, narrowed
from opsbook.errors import EffectRefused

READS = frozenset(
    """
    stat slurp find assert set_fact debug fail setup gather_facts getent service_facts package_facts wait_for
    include_vars add_host group_by pause meta
    """.split()  # noqa: SIM905  (a long list of words is easier to read this way)
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
"""Characters of a line, and lines, of a kept diff; the event stream has all of it."""

_SIGNS = 3
"""Characters of such a line for its + or - sign and for … where text is left out."""


def would(kind: str, data: Mapping[str, Any], result: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """What a task of a simulated playbook would do; None if nothing.

    `said` is Ansible's output for the event: for a skipped task, ansible-runner passes no result.
    """
    found = {"host": str(data.get("host")), "task": str(data.get("task"))}
    if kind == "runner_on_ok" and result.get("changed"):
        return {**found, "state": "changed", "diff": _diff(result)}
    # A task skipped by a condition gives a reason; one that cannot be simulated gives none.
    if kind == "runner_on_skipped" and not any(reason in said for reason in _REASONS):
        return {**found, "state": "unknown", "diff": ""}
    return None


def _diff(result: Mapping[str, Any]) -> str:
    """The differences of a task, as text."""
    parts = [result, *(item for item in result.get("results") or () if isinstance(item, Mapping))]
    lines = [line for part in parts for diff in _listed(part.get("diff")) for line in ansible_diff(diff)]
    # Paths are relative to the project.
    return "\n".join(_shortened(lines)).replace(f"{here.content}/", "")


def _shortened(lines: list[str]) -> list[str]:
    """The first lines of a diff, each shortened around its difference."""
    more = [f"… {len(lines) - _MOST} more lines"] if len(lines) > _MOST else []
    kept = narrowed(tuple(lines[:_MOST]), _LONGEST - _SIGNS)
    return [*(line[:_LONGEST] for line in kept), *more]


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, Mapping)]


def allow(playbook: str) -> None:
    """Raise EffectRefused if a check of the playbook would really do something."""
    folder = Path(here.content) / "playbooks"
    problems = list(dict.fromkeys(_Reader(folder, frozenset(here.check_reads)).playbook(folder / playbook)))
    if problems:
        said = "; ".join(problems)
        raise EffectRefused(
            f"playbook {playbook} cannot be checked: check_mode: false would really run {said}. "
            "A module that only reads can be named under [check] reads in opsbook.toml."
        )


class _Reader:
    """Reads a playbook and its includes, and finds tasks that a check would really run.

    If an included file is not found, every file in the folder is read.
    """

    def __init__(self, folder: Path, reads: frozenset[str]) -> None:
        self._folder = folder
        self._reads = reads
        self._seen: set[tuple[Path, bool]] = set()
        self._base, self._defaults = folder, False

    def playbook(self, path: Path) -> Iterator[str]:
        if (path, False) in self._seen:
            return
        self._seen.add((path, False))
        for play in _load(path):
            other = _get(play, "import_playbook")
            if isinstance(other, str):
                for found in self._files(path.parent, other):
                    yield from self.playbook(found)
            self._base, self._defaults = path.parent, "module_defaults" in play
            real = _real(play, inherited=False)
            yield from self._block(play, path, real=real)
            for role in play.get("roles") or ():
                yield from self._role_entry(role, real=real)

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
        real = _real(_get(what, "apply") or {}, inherited=real)
        if short in _TASKS:
            name = what if isinstance(what, str) else _get(what, "file")
            for found in self._files(path.parent, str(name), "tasks"):
                yield from self._file(found, real=real)
        elif short in _ROLES:
            yield from self._role(_get(what, "name"), real=real)
        elif real and not (short in READS or module in self._reads or self._only_gets(short, task, what)):
            yield f"{task.get('name') or module} ({module}, {path.relative_to(self._folder)})"

    def _only_gets(self, module: str, task: Mapping[str, Any], arguments: Any) -> bool:
        """Whether the text of a uri task shows that it only reads; not if module_defaults may change it."""
        if module != "uri" or not isinstance(arguments, Mapping) or self._defaults or "module_defaults" in task:
            return False
        given = {**arguments, **(task["args"] if isinstance(task.get("args"), Mapping) else {})}
        return str(given.get("method") or "GET").upper() in ("GET", "HEAD") and "dest" not in given

    def _role_entry(self, entry: Any, *, real: bool) -> Iterator[str]:
        name = entry if isinstance(entry, str) else _get(entry, "role", "name")
        yield from self._role(name, real=_real(entry if isinstance(entry, Mapping) else {}, inherited=real))

    def _role(self, name: Any, *, real: bool) -> Iterator[str]:
        named = str(name)
        found = [] if "{{" in named else [base / "roles" / named for base in (self._base, self._folder)]
        there = [folder for folder in dict.fromkeys(found) if folder.is_dir()]
        for folder in there or [path.parent for path in sorted(self._folder.glob("**/tasks"))]:
            for part in ("tasks", "handlers"):
                for path in sorted((folder / part).rglob("*.y*ml")):
                    yield from self._file(path, real=real)
            yield from self._dependencies(folder, real=real)

    def _dependencies(self, role: Path, *, real: bool) -> Iterator[str]:
        for meta in sorted((role / "meta").glob("main.y*ml")):
            if (meta, real) not in self._seen:
                self._seen.add((meta, real))
                for found in _load(meta):
                    for entry in found.get("dependencies") or ():
                        yield from self._role_entry(entry, real=real)

    def _file(self, path: Path, *, real: bool) -> Iterator[str]:
        if (path, real) not in self._seen:
            self._seen.add((path, real))
            for task in _load(path):
                yield from self._task(task, path, real=_real(task, inherited=real))

    def _files(self, folder: Path, name: str, *inside: str) -> list[Path]:
        """The file of this name, searched like Ansible does: here, in the folder for its kind, beside the playbook."""
        places = [folder, *(folder / part for part in inside), self._base, *(self._base / part for part in inside)]
        found = [] if "{{" in name else [place / name for place in dict.fromkeys(places) if (place / name).is_file()]
        return found or sorted(self._folder.glob("**/*.y*ml"))


def _real(holder: Mapping[str, Any], *, inherited: bool) -> bool:
    """Whether a check really runs a task. A templated check_mode counts as yes."""
    said = holder.get("check_mode")
    return inherited if said is None else said is not True


def _get(value: Any, *names: str) -> Any:
    found = (value.get(n) or value.get(f"ansible.builtin.{n}") for n in names) if isinstance(value, Mapping) else ()
    return next((item for item in found if item), None)


def _load(path: Path) -> list[Mapping[str, Any]]:
    """The plays or tasks of a file; none if it is unreadable, since Ansible cannot read it either."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Ignores Ansible's tags (!vault, !unsafe), which do not affect what runs."""

    Loader.add_multi_constructor("!", lambda *_: None)
    try:
        return _listed(yaml.load(path.read_text(encoding="utf-8"), Loader))  # noqa: S506  (a safe loader)
    except (OSError, ValueError, yaml.YAMLError):
        return []
