"""How old the secrets of environments are, as far as something proves it, and which are overdue."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import Environment, Rotation
from opsbook.core.model.event import Outcome
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import environment as policies
from opsbook.core.record import store
from opsbook.doctor.finding import Finding, fine, warning
from opsbook.settings import Settings

_DAY = 86400.0


def ages(settings: Settings) -> Iterator[Finding]:
    """Each secret of each environment with its age, by the last run of the page that changes it or by its file."""
    # The check of the environments reports broken ones.
    found = [finding for each in policies.every(settings)[0] for finding in _of(settings, each)]
    yield from found or [fine("no environment names a secret")]


def _of(settings: Settings, found: Environment) -> Iterator[Finding]:
    for name in dict.fromkeys([*found.policy.secrets, *found.policy.rotation]):
        rule = found.policy.rotation.get(name)
        reference = found.policy.secrets.get(name, "")
        known = _rotated(settings, rule.by, found.name) if rule and rule.by else None
        yield _judged(f"{name} of {found.name}", found.name, known or _written(settings, reference), rule)


def _judged(what: str, place: str, known: tuple[datetime, str] | None, rule: Rotation | None) -> Finding:
    change = f"opsbook run {rule.by} -e {place}" if rule and rule.by else "Change it where it comes from"
    if known is None:
        said = f"{what}: its age is not known"
        return warning(f"{said}; {rule.max_age} is allowed", f"{change}.") if rule else fine(said)
    since, proof = known
    seconds = (datetime.now(UTC) - since).total_seconds()
    said = f"{what}: {_days(seconds)} old ({proof})"
    if rule and seconds > span_seconds(rule.max_age):
        return warning(f"{said}, overdue: {rule.max_age} is allowed", f"{change}.")
    return fine(said)


def _days(seconds: float) -> str:
    days = int(max(0.0, seconds) // _DAY)
    return {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")


def _rotated(settings: Settings, page: str, place: str) -> tuple[datetime, str] | None:
    """When the last run of a page in an environment began that succeeded and was no check, and which it was."""
    for folder in store.newest(settings.records, page):
        record = store.exact(settings.records, folder.name)
        told = record.glance() if record else {}
        good = (told.get("environment"), told.get("outcome")) == (place, Outcome.SUCCEEDED)
        if good and told.get("mode") != Mode.CHECK and (since := store.began(folder.name)):
            return since, folder.name
    return None


def _written(settings: Settings, reference: str) -> tuple[datetime, str] | None:
    scheme, _, rest = reference.partition(":")
    if scheme != "file":
        return None
    try:
        written = (settings.root / Path(rest).expanduser()).stat().st_mtime
    except (OSError, RuntimeError):  # expanduser raises it for a user that there is not
        return None
    return datetime.fromtimestamp(written, UTC), "by its file"
