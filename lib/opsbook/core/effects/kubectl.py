"""The kubectl effect: one command of kubectl, in the cluster and namespace that the environment names."""

import json as jsonlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import perform
from opsbook.core.effects.clean import revealed
from opsbook.core.effects.shell import Done, Invocation
from opsbook.core.model.kubectl import CHANGES, OPTIONS, READS, SIMULATES, kubectl_verb
from opsbook.errors import EffectFailed
from opsbook.params import Secret

_BOTH = tuple(
    f"--{name}" for name in ("context", "filename", "kubeconfig", "namespace", "recursive", "selector", "server-side")
)
"""Options of apply that diff has as well."""

_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer: of half a document nobody knows what is secret."""

_HIDDEN = "(hidden)"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, repr=False)
class KubectlResult(Done):
    """What kubectl answered. `diff` is what an apply changes; `would` what a simulated command would do."""

    diff: str = ""
    would: tuple[dict[str, Any], ...] = ()

    @cached_property
    def json(self) -> Any:
        """The answer to `get`. The values of Secrets are hidden. Raises EffectFailed if it is not JSON."""
        try:
            return jsonlib.loads(self.stdout)
        except ValueError as error:
            raise EffectFailed(f"{' '.join(self.argv)} gave no JSON", self) from error

    def headline(self) -> str:
        if self.argv[-1] != "--output=json":
            return super().headline()
        try:
            found = jsonlib.loads(self.stdout or "{}")
        except ValueError:
            found = {}
        items = found.get("items") if isinstance(found, dict) else None
        told = f"{len(items)} objects" if isinstance(items, list) else found.get("kind", "nothing")
        return f"{' '.join(self.argv)} -> {told} in {self.seconds:.1f} s"


def kubectl(
    *words: str,
    manifest: str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    file: str | None = None,
    options: Mapping[str, Any] | None = None,
    timeout: float = 120.0,
    idempotent: bool = False,
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> KubectlResult:
    """Run one command of kubectl.

        kubectl("get", "deployment/arcade").json["status"]["readyReplicas"]
        kubectl("apply", file="k8s/arcade.yml")
        kubectl("scale", "deployment/arcade", options={"replicas": 3})
        kubectl("rollout", "status", "deployment/arcade", timeout=300)

    The context and the namespace are those of `settings: {kubernetes: {context: …, namespace: …}}` in the environment's
    policy (`kubeconfig:` names a file); never those that kubectl happens to have. `manifest` is text, an object or
    several; a Secret in it is recorded by name. `file` is a path in the project. `options` become `--name=value`; True
    stands for `--name`, a list for the option several times. No value is ever read as an option. `get` answers in JSON.
    What reads is known by its verb. A check runs a change with `--dry-run=server`, with its difference where it is an
    apply, and returns `pretend`. `timeout` is in seconds. Raises EffectFailed, and ValueError for what is not offered.
    """
    verb = _verb(words)
    flags = _flags(words, options or {})
    request = {"words": list(words), "manifest": manifest, "file": file, "options": options}
    changes = verb in CHANGES

    def work(call: EffectCall) -> tuple[KubectlResult, Any]:
        wanted = Invocation(
            _command(words, flags, manifest, file),
            env={"KUBERC": "off", "KUBECTL_KUBERC": "false"},  # nobody's own defaults
            stdin=_text(manifest),
            timeout=timeout,
            expect=(0, 1) if verb == "diff" else 0,
        )
        found = _done(call, wanted, verb, secret=_has_secret(manifest))
        return found, {**found.to_json(), "changed": changes and (verb != "apply" or bool(found.diff))}

    summary = " ".join(["kubectl", *words, *([file] if file else []), *flags])
    rules = {"idempotent": idempotent or verb == "apply", "key": key, "pretend": pretend, "ignore": ignore}
    rules |= {"decode": KubectlResult.of, "gentle": True}
    return perform("kubectl", request, summary, work, changes=changes, **rules)


def _done(call: EffectCall, wanted: Invocation, verb: str, *, secret: bool) -> KubectlResult:
    """Run it, or in a check what simulates it. `secret`: its manifest has secrets."""
    diff = _diff(call, wanted, secret=secret) if verb == "apply" else ""
    if call.check and verb not in SIMULATES:
        return KubectlResult(tuple(wanted.words), 0, "", "", 0.0, would=_would(wanted, "unknown", ""))
    if call.check:
        simulated = replace(wanted, words=[*wanted.words, "--dry-run=server"])
        done = simulated.unseen(call, quotes=True) if secret else simulated.checked(call, changes=False)
        same = verb == "apply" and not diff
        return _result(done, diff, () if same else _would(wanted, "changed", diff or done.stdout.strip()))
    changes = verb in CHANGES
    if verb == "get" or secret:
        return _result(replace(wanted, limit=_LIMIT).unseen(call, quotes=secret, changes=changes), diff, ())
    return _result(wanted.checked(call, changes=changes), diff, ())


def _verb(words: Sequence[str]) -> str:
    """The verb, known as one that reads or changes."""
    for text in words:
        if not isinstance(text, str) or not text or text.startswith("-") or {"\n", "\0"} & set(text):
            raise ValueError(f"kubectl(): {text!r} is no name; options are given as options={{…}}")
    found = kubectl_verb(words)
    if list(words[:2]) == ["create", "token"]:
        # It would be recorded.
        found = "create token"
    if found not in READS | CHANGES:
        known = ", ".join(sorted(READS | CHANGES))
        raise ValueError(f"kubectl() does not offer {found!r}; it has {known}")
    return found


def _flags(words: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    flags = []
    for name, value in options.items():
        option = name.strip("-").replace("_", "-")
        if option not in OPTIONS:
            told = "the environment, file= and manifest= decide what it acts on, and get answers in JSON"
            raise ValueError(f"kubectl() takes no option {name!r}: {told}")
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Secret):
                raise TypeError("a secret never goes into an argument, where every user can see it; use manifest=")
            said = jsonlib.dumps(each) if isinstance(each, dict | bool) else str(each)
            flags.append(f"--{option}" if each is True else f"--{option}={said}")
    return [*flags, *(["--output=json"] if words[0] == "get" else [])]


def _command(words: Sequence[str], flags: Sequence[str], manifest: object, file: str | None) -> list[str]:
    told = here.settings.get("kubernetes") or {}
    if not isinstance(told, dict) or not (told.get("context") and told.get("namespace")):
        where = "settings: {kubernetes: {context: …, namespace: …}}"
        raise EffectFailed(f"environment {here.environment} names no cluster: {where} in its policy", untouched=True)
    named = [f"--{name}={told[name]}" for name in ("context", "namespace") if told.get(name)]
    if told.get("kubeconfig"):
        named.append(f"--kubeconfig={Path(here.content, Path(str(told['kubeconfig'])).expanduser())}")
    given = ["--filename=-"] if manifest is not None else [f"--filename={_inside(file)}"] if file else []
    return ["kubectl", *named, *words, *given, *flags]


def _inside(file: str) -> Path:
    content = Path(here.content)
    path = (content / file).resolve()
    real = content.resolve()
    parts = [path, *(each.resolve() for each in path.rglob("*"))]
    if not path.exists() or not all(each.is_relative_to(real) for each in parts):
        raise EffectFailed(f"{file} is no file of the project, or leads out of it", untouched=True)
    return path


def _text(manifest: Any) -> str | None:
    if manifest is None or isinstance(manifest, str):
        return manifest
    several = isinstance(manifest, list | tuple)
    whole = {"apiVersion": "v1", "kind": "List", "items": manifest} if several else manifest
    return jsonlib.dumps(revealed(whole))


def _diff(call: EffectCall, wanted: Invocation, *, secret: bool) -> str:
    """What an apply changes, as `kubectl diff` tells it, which hides the values of Secrets."""
    given = [word for word in wanted.words if not word.startswith("--") or word.startswith(_BOTH)]
    words = ["diff" if word == "apply" else word for word in given]
    try:
        return replace(wanted, words=words, expect=(0, 1), limit=_LIMIT).unseen(call, quotes=secret).stdout
    except EffectFailed as failed:
        # Nothing was sent yet.
        raise EffectFailed(str(failed), untouched=True) from failed


def _has_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_secret(each) for each in value.values())
    return isinstance(value, Secret) or (isinstance(value, list | tuple) and any(_has_secret(each) for each in value))


def _would(wanted: Invocation, state: str, diff: str) -> tuple[dict[str, Any], ...]:
    words = [word for word in wanted.words[1:] if not word.startswith("--")]
    context = next(word.partition("=")[2] for word in wanted.words if word.startswith("--context="))
    return ({"host": context, "task": " ".join(["kubectl", *words]), "state": state, "diff": diff},)


def _result(done: Done, diff: str, would: tuple[dict[str, Any], ...]) -> KubectlResult:
    stdout = _without_secrets(done.stdout) if done.argv[-1] == "--output=json" else done.stdout
    return KubectlResult(done.argv, done.rc, stdout, done.stderr, done.seconds, diff, would)


def _without_secrets(text: str) -> str:
    try:
        found = jsonlib.loads(text)
    except ValueError:
        return ""
    for each in [found, *(found.get("items") or [])] if isinstance(found, dict) else []:
        if isinstance(each, dict) and each.get("kind") == "Secret":
            for name in ("data", "stringData"):
                if each.get(name):
                    each[name] = dict.fromkeys(each[name], _HIDDEN)
            each.get("metadata", {}).get("annotations", {}).pop(_APPLIED, None)
    return jsonlib.dumps(found, indent=1)
