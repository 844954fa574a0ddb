"""The playbook effect: one or more attempts, until it succeeds or the operator stops it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

from opsbook.core.effects import ansible, ansible_start
from opsbook.core.effects.ansible import PlaybookResult
from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import perform
from opsbook.core.effects.unknown import Unknown
from opsbook.core.model.tasks import FEW, failures_of
from opsbook.core.model.text import some
from opsbook.errors import EffectFailed

RETRY, WITHOUT, STOP = "retry", "without", "stop"
CHOICES = (RETRY, WITHOUT, STOP)
"""What an operator may decide if a playbook failed on some hosts but not on all."""

_PLAIN = re.compile(r"^[^-\n][^\n]*$")


def playbook(
    name: str,
    *,
    limit: str | None = None,
    tags: str | None = None,
    skip_tags: str | None = None,
    verbosity: int = 0,
    vars: Mapping[str, Any] | None = None,  # noqa: A002  (Ansible's own word)
    max_unreachable: int = 0,
    timeout: float | None = None,
    changes: bool = True,
    check: bool = False,
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> PlaybookResult:
    """Run playbooks/NAME against the run's environment.

    `vars` are passed as text that is never a template. `verbosity` is the number of -v. `timeout` is in seconds, for
    each attempt. Raises EffectFailed if a task failed, if no host was processed, or if more than `max_unreachable`
    hosts were unreachable; the error's `result` is the PlaybookResult. If only some hosts failed, an operator who is
    present may retry them, or leave them out, also in later playbooks. A playbook repeats safely: it is idempotent. A
    check runs it with --check --diff, and returns `pretend`, or a value that ends the cell when it is used; with
    changes=False, the result, unless a task was not really done. With `check` every run simulates it, and so it reads:
    the result's `would` says what it would change. `ignore` names parts of the result that change by themselves.
    Raises ValueError for a name, a limit or tags that begin with - or span lines.
    """
    for what, text in (("limit", limit), ("tags", tags), ("skip_tags", skip_tags), ("playbook", name)):
        if text is not None and not _PLAIN.match(text):
            raise ValueError(f"{what} may not start with - or span lines: {text!r}")
    rarely = (("skip_tags", skip_tags), ("verbosity", verbosity), ("check", check))
    request = {
        "playbook": name,
        "inventory": here.inventory,
        "limit": limit,
        "tags": tags,
        "vars": dict(vars or {}),
        "max_unreachable": max_unreachable,
        **{name: value for name, value in rarely if value},
    }

    def work(call: EffectCall) -> tuple[Any, Any]:
        result = _run(call, request, timeout) if changes or check else _read(call, request, timeout)
        if result.would and not changes and not check:
            return Unknown(f"playbook {name} was only simulated"), result.to_json()
        return result, result.to_json()

    summary = f"playbook {name}" + (f" on {limit}" if limit else "")
    rules = {"idempotent": True, "key": key, "pretend": pretend, "ignore": ignore}
    rules |= {"decode": PlaybookResult.of, "gentle": True}
    return perform("playbook", request, summary, work, changes=changes and not check, **rules)  # type: ignore[no-any-return]


def _read(call: EffectCall, request: dict[str, Any], timeout: float | None) -> PlaybookResult:
    """Run one that only reads. What fails because a check has simulated a task is no failure."""
    try:
        return _run(call, request, timeout)
    except EffectFailed as failed:
        if not isinstance(failed.result, PlaybookResult) or not failed.result.would:
            raise
        return failed.result


def _run(call: EffectCall, request: dict[str, Any], timeout: float | None) -> PlaybookResult:
    """Run it; if only some hosts failed, repeat as often as the operator decides."""
    whole = _pattern(request["limit"], call.without)
    limit, result, left_out = whole, None, list(call.without)
    while True:
        failed = None
        try:
            latest = ansible.run(call, {**request, "limit": limit}, timeout)
        except EffectFailed as error:
            if not isinstance(error.result, PlaybookResult):
                if result is None:
                    raise
                # Report what an earlier attempt did.
                raise EffectFailed(str(error), result) from error
            failed, latest = error, error.result
        result = replace(latest.after(result), left_out=tuple(left_out))
        if failed is None or (_worked(result) and not latest.hosts):
            return result
        one_batch = _one_batch(request["playbook"])
        choice = _choice(call, result, one_batch=one_batch)
        if choice == WITHOUT:
            left_out += result.bad()
            call.without = tuple(left_out)
            result = replace(result, left_out=tuple(left_out))
            if one_batch and _worked(result):
                return result
            limit = _pattern(whole, left_out)
        elif choice == RETRY:
            limit = ",".join(result.bad()) if one_batch else _pattern(whole, left_out)
        else:
            raise EffectFailed(str(failed), result, untouched=failed.untouched and not result.hosts) from failed
        call.sample({"decided": choice, "limit": limit}, f"once more on {limit}")


def _worked(result: PlaybookResult) -> bool:
    """Whether at least one host remains, and none of them failed."""
    return not result.bad() and bool(set(result.hosts) - set(result.left_out))


def _pattern(limit: str | None, without: Sequence[str]) -> str | None:
    """Ansible's pattern for a limit without some hosts."""
    return ":".join([limit or "all", *(f"!{host}" for host in without)]) if without else limit


def _one_batch(name: str) -> bool:
    """Whether hosts that did not fail have finished the playbook, even if others failed.

    If a whole batch or play fails, Ansible does not start later ones.
    """
    import yaml

    try:
        plays = yaml.safe_load((ansible_start.folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    early = {"serial", "any_errors_fatal", "max_fail_percentage", "import_playbook", "ansible.builtin.import_playbook"}
    return isinstance(plays, list) and len(plays) == 1 and isinstance(plays[0], dict) and not early & set(plays[0])


def _choice(call: EffectCall, result: PlaybookResult, *, one_batch: bool) -> str | None:
    """Ask the operator what to do if only some hosts failed; None if there is no choice, or no answer."""
    bad = result.bad()
    good = [host for host in result.hosts if host not in (*bad, *result.left_out)]
    waiting = set(here.hosts) - set(result.hosts) - set(result.left_out)
    if not bad or not (good or (waiting and not one_batch)):
        return None
    others = f"{some(good, FEW)} did not" if good else "the others had no turn"
    text = f"playbook {result.playbook}: {some(bad, FEW)} failed, {others}. Retry, or go on without?"
    told = failures_of(map(astuple, result.failures))
    detail = "\n".join(f"- {failure}" for failure in told)
    return call.channel.decide(call, {"text": text, "choices": list(CHOICES), "detail": detail})
