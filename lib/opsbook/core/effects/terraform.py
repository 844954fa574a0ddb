"""The terraform effect: plan a folder, apply exactly that plan, read outputs. Plans are kept by their digest."""

import contextlib
import fcntl
import hashlib
import json as jsonlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import perform
from opsbook.core.effects.clean import revealed
from opsbook.core.effects.shell import Done, Invocation
from opsbook.core.effects.show import Shown
from opsbook.errors import EffectFailed
from opsbook.params import Secret

_ACTIONS = {"plan": False, "apply": True, "output": False}
"""What it does, and whether that changes something."""

_GRACE = 60.0
"""Seconds that Terraform gets to write down what it has done, if it must stop."""

_LIMIT = 256 * 1024 * 1024
"""Bytes of what it prints: half of a plan is none."""

_HIDDEN = "(hidden)"
_COUNTED = {"add": "create", "change": "update", "destroy": "delete"}


@dataclass(frozen=True, repr=False)
class TerraformResult(Shown):
    """What Terraform did. `digest` names the plan; `counts` are resources to add, change and destroy.

    `text` is the plan, or what an apply printed, without sensitive values; `outputs` those of the folder, of which
    sensitive ones are hidden.
    """

    action: str
    folder: str
    digest: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    text: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    would: tuple[dict[str, Any], ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(self.counts.values())

    def headline(self) -> str:
        told = ", ".join(f"{count} to {name}" for name, count in self.counts.items()) if self.counts else "done"
        plan = f", plan {self.digest}" if self.digest else ""
        return f"terraform {self.action} {self.folder}: {told}{plan}, {self.seconds:.1f} s"

    def table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        return (("output", "value"), [*self.outputs.items()]) if self.outputs else ((), [])


def terraform(
    action: str,
    folder: str,
    *,
    plan: str = "",
    vars: Mapping[str, Any] | None = None,  # noqa: A002  (Terraform's own word)
    env: Mapping[str, str | Secret] | None = None,
    backend: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> TerraformResult:
    """Run Terraform in a folder of the project: `plan`, `apply` or `output`.

    `plan` saves what it finds in the state folder, readable for this user only, and returns its digest (SHA-256 of the
    file). `apply` takes the digest as `plan=` and applies exactly that file; Terraform refuses it if the state has
    changed since. Where the digest is a parameter of a page, who approves the run approves this plan.
    `vars` go in by a file, `env` by environment: secrets are recorded by name. `backend` are settings of the backend.
    Providers come from `.terraform.lock.hcl`, which must be committed. `settings: {terraform: {program: tofu}}` in the
    environment's policy names another program. A check of an apply shows the saved plan, and returns `pretend`.
    `timeout` is in seconds. Raises EffectFailed, and ValueError for another action or a missing plan.
    """
    if action not in _ACTIONS:
        raise ValueError(f"terraform() does not offer {action!r}; it has {', '.join(_ACTIONS)}")
    if (action == "apply") != bool(plan) or (plan and not re.fullmatch("[0-9a-f]{64}", plan)):
        raise ValueError(
            'terraform("apply", …) takes plan=, the digest that terraform("plan", …) returned; others do not'
        )
    if any(isinstance(value, Secret) for value in (backend or {}).values()):
        raise TypeError("a secret never goes into an argument, where every user can see it; pass it by env=")
    request = {"action": action, "folder": folder, "plan": plan, "vars": vars, "env": env, "backend": backend}

    def work(call: EffectCall) -> tuple[TerraformResult, Any]:
        with _Place(call, folder, dict(env or {}), dict(backend or {}), timeout) as place:
            match action:
                case "plan":
                    found = _plan(place, vars or {})
                case "apply":
                    found = _shown_only(place, plan) if call.check else _apply(place, plan)
                case _:
                    found = TerraformResult(action, folder, outputs=place.outputs())
        return found, {**found.to_json(), "changed": action == "apply" and not call.check}

    summary = f"terraform {action} {folder}" + (f" of plan {plan[:12]}" if plan else "")
    rules = {"key": key, "pretend": pretend, "ignore": ignore, "decode": TerraformResult.of, "gentle": True}
    return perform("terraform", request, summary, work, changes=_ACTIONS[action], **rules)


class _Place:
    """A folder with its backend. What Terraform keeps beside it is of one call; plans and providers are kept."""

    def __init__(
        self, call: EffectCall, folder: str, env: dict[str, str | Secret], backend: dict[str, str], timeout: float
    ) -> None:
        content = Path(here.content)
        self.folder = folder
        self._path = (content / folder).resolve()
        if not self._path.is_relative_to(content.resolve()) or not self._path.is_dir():
            raise EffectFailed(f"{folder} is no folder of the project", untouched=True)
        told = here.settings.get("terraform") or {}
        self._program = str(told.get("program", "terraform")) if isinstance(told, dict) else "terraform"
        self._kept = Path(here.state, "terraform", here.environment)
        # A plan is one of a folder and a state: with another backend there is none.
        known = jsonlib.dumps([os.path.relpath(self._path, content.resolve()), sorted(backend.items())])
        self.plans = self._kept / "plans" / hashlib.sha256(known.encode()).hexdigest()[:12]
        self._call, self._timeout, self._backend = call, timeout, backend
        self._data = Path(tempfile.mkdtemp(prefix="terraform-", dir=here.private))
        own = {"TF_DATA_DIR": str(self._data), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
        self._env = {**env, **own, "TF_PLUGIN_CACHE_DIR": str(self._kept / "providers")}

    def __enter__(self) -> "_Place":
        """Fetch providers and open the backend. Raises EffectFailed for one whose state would not outlive the run."""
        for each in (self.plans, self._kept / "providers"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = [f"-backend-config={name}={value}" for name, value in self._backend.items()]
        with (self._kept / "lock").open("w") as lock:
            # Terraform's store of providers is for one at a time.
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self.run("init", "-input=false", "-lockfile=readonly", *settings, seen=False)
            except EffectFailed as failed:
                raise EffectFailed(str(failed), failed.result, untouched=True) from failed
        with contextlib.suppress(FileNotFoundError, ValueError):
            found = jsonlib.loads((self._data / "terraform.tfstate").read_text(encoding="utf-8"))["backend"]
            if found["type"] != "local" or Path(found["config"].get("path") or "").is_absolute():
                return self
        raise EffectFailed(
            f"the state of {self.folder} would be in the files of this run alone; give it a backend, or a local one an "
            "absolute path",
            untouched=True,
        )

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._data, ignore_errors=True)

    def run(self, *words: str, expect: tuple[int, ...] = (0,), seen: bool = True, changes: bool = False) -> Done:
        """Run Terraform there. `seen`: what it prints is shown and recorded."""
        wanted = Invocation(
            [self._program, f"-chdir={self._path}", words[0], "-no-color", *words[1:]],
            env=self._env,
            timeout=self._timeout,
            expect=expect,
            grace=_GRACE,
            interrupt=True,
            limit=_LIMIT,
        )
        return wanted.checked(self._call, changes=changes) if seen else wanted.unseen(self._call)

    def keep(self, plan: Path, digest: str) -> None:
        """Keep a plan under its digest; it is there whole, or not at all."""
        draft = self.plans / f"{digest}.{os.getpid()}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(plan.read_bytes())
        draft.rename(self.plans / f"{digest}.tfplan")

    def saved(self, digest: str) -> Path:
        """The file of a plan. Raises EffectFailed if it is not there, or not what its digest says."""
        path = self.plans / f"{digest}.tfplan"
        if not path.is_file():
            told = f"there is no plan {digest[:12]} of {self.folder} for {here.environment} on this machine"
            raise EffectFailed(f'{told}; run terraform("plan", …) first', untouched=True)
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise EffectFailed(f"plan {digest[:12]} was changed since it was saved; plan it anew", untouched=True)
        return path

    def counts(self, path: Path) -> dict[str, int]:
        """How many resources a plan adds, changes and destroys. Its JSON has sensitive values, and is not recorded."""
        told = jsonlib.loads(self._json("show", str(path)))
        actions = [each["change"]["actions"] for each in told.get("resource_changes") or ()]
        return {name: sum(action in each for each in actions) for name, action in _COUNTED.items()}

    def outputs(self) -> dict[str, Any]:
        found = jsonlib.loads(self._json("output"))
        return {name: _HIDDEN if each.get("sensitive") else each.get("value") for name, each in found.items()}

    def _json(self, *words: str) -> str:
        return self.run(words[0], "-json", *words[1:], seen=False).stdout

    @contextlib.contextmanager
    def private(self, suffix: str) -> Iterator[Path]:
        """A file that only this user can read, and that ends with the run at the latest."""
        number, name = tempfile.mkstemp(suffix=suffix, dir=self._data)
        os.close(number)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


def _plan(place: _Place, given: Mapping[str, Any]) -> TerraformResult:
    with place.private(".tfplan") as out, place.private(".tfvars.json") as values:
        values.write_text(jsonlib.dumps(revealed(given)), encoding="utf-8")
        words = ("-input=false", "-detailed-exitcode", f"-out={out}", f"-var-file={values}")
        done = place.run("plan", *words, expect=(0, 2))
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        place.keep(out, digest)
    saved = place.saved(digest)
    text = place.run("show", str(saved), seen=False).stdout
    return TerraformResult("plan", place.folder, digest, place.counts(saved), text, seconds=done.seconds)


def _apply(place: _Place, digest: str) -> TerraformResult:
    saved = place.saved(digest)
    counts = place.counts(saved)
    try:
        done = place.run("apply", "-input=false", str(saved), changes=True)
    except EffectFailed as failed:
        if "Saved plan is stale" in str(failed):
            raise EffectFailed(f"{failed} Plan it anew.", failed.result, untouched=True) from failed
        raise
    outputs, text = {}, done.stdout
    try:
        outputs = place.outputs()
    except (EffectFailed, ValueError) as failed:
        # It is applied, whatever comes now.
        text += f"\nThe outputs are not known: {failed}\n"
    return TerraformResult("apply", place.folder, digest, counts, text, outputs, done.seconds)


def _shown_only(place: _Place, digest: str) -> TerraformResult:
    saved = place.saved(digest)
    counts, text = place.counts(saved), place.run("show", str(saved), seen=False).stdout
    would = {"host": here.environment, "task": f"terraform apply {place.folder}", "state": "changed", "diff": text}
    return TerraformResult("apply", place.folder, digest, counts, text, would=(would,) if any(counts.values()) else ())
