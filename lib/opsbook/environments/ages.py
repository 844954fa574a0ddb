"""How old the secrets of an environment are, as far as something proves it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from opsbook.core.model.effect import Mode
from opsbook.core.model.environment import Policy
from opsbook.core.model.outcome import Outcome
from opsbook.core.model.text import span_seconds
from opsbook.core.record import store
from opsbook.settings import Settings

_DAY = 86400.0


@dataclass(frozen=True)
class SecretAge:
    """A secret. `since` is None where nothing says how old it is, and `proof` is what says it: a run, or its file.

    It may be as old as `max_age`, a span such as 90d; the page `by` changes it.
    """

    name: str
    since: datetime | None
    proof: str
    max_age: str | None
    by: str | None

    @property
    def seconds(self) -> float:
        return (datetime.now(UTC) - self.since).total_seconds() if self.since else 0.0

    @property
    def overdue(self) -> bool:
        return self.max_age is not None and self.seconds > span_seconds(self.max_age)

    def in_words(self) -> str:
        """Its age, and whether it is overdue, on one line."""
        if self.since is None:
            return "its age is not known" + (f"; {self.max_age} is allowed" if self.max_age else "")
        return f"{self._days()} old ({self.proof})" + (f", overdue: {self.max_age} is allowed" if self.overdue else "")

    def _days(self) -> str:
        days = int(max(0.0, self.seconds) // _DAY)
        return {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")


def ages(settings: Settings, place: str, policy: Policy) -> tuple[SecretAge, ...]:
    """Each secret of an environment, by the last run of the page that changes it or by its file."""
    return tuple(_age(settings, place, policy, name) for name in dict.fromkeys([*policy.secrets, *policy.rotation]))


def _age(settings: Settings, place: str, policy: Policy, name: str) -> SecretAge:
    rule = policy.rotation.get(name)
    by = rule.by or None if rule else None
    known = _rotated(settings, by, place) if by else None
    since, proof = known or _written(settings, policy.secrets.get(name, "")) or (None, "")
    return SecretAge(name, since, proof, rule.max_age if rule else None, by)


def _rotated(settings: Settings, page: str, place: str) -> tuple[datetime, str] | None:
    """When the last run of a page in an environment began that succeeded and was no check, and which it was."""
    for record in store.recent(settings.records, page):
        told = record.glance()
        good = (told.get("environment"), told.get("outcome")) == (place, Outcome.SUCCEEDED)
        if good and told.get("mode") != Mode.CHECK and (since := store.began(record.id)):
            return since, record.id
    return None


def _written(settings: Settings, reference: str) -> tuple[datetime, str] | None:
    scheme, _, path = reference.partition(":")
    try:
        written = (settings.root / Path(path).expanduser()).stat().st_mtime if scheme == "file" else None
    except (OSError, RuntimeError):  # expanduser raises it for a user that there is not
        return None
    return (datetime.fromtimestamp(written, UTC), "by its file") if written is not None else None
