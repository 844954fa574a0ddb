"""An environment: its policy and its hosts, resolved."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from opsbook.core.model.text import span_seconds

SCHEMES = ("env", "file", "vault", "exec")
"""Where a secret can come from.

`env:NAME`, `file:PATH`, `vault:NAME` (a vaulted inventory variable), `exec:PROGRAM ARGUMENT …` (what it prints).
"""


BLOCK = 100
"""Ports of one environment. A block begins at a multiple of this number, so that blocks never overlap."""

_FIRST_BLOCK, _LAST_BLOCK = 1100, 65400


def checked_block(first: int) -> int:
    """Return `first`. Raises ValueError if no block of ports can begin there."""
    if first % BLOCK or not _FIRST_BLOCK <= first <= _LAST_BLOCK:
        raise ValueError(f"a block of ports begins at a multiple of {BLOCK} from {_FIRST_BLOCK} to {_LAST_BLOCK}")
    return first


class _Part(BaseModel):
    """A part of environment.yml: no other keys, and nobody changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChoiceRule(_Part):
    """Where a choice list comes from, if it is not written out.

    `glob`: a path pattern below the project root; each value is what its one `*` matches.
    `group`: the hosts of an inventory group.
    """

    glob: str | None = None
    group: str | None = None


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$")]


class Window(_Part):
    """A time of the week when runs may begin. If the end is before the begin, it ends on the next day."""

    days: tuple[Day, ...] = Field(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1)
    begin: Clock = "00:00"
    end: Clock = "00:00"


_LONGEST = 3650 * 86400
"""Longest approval or review time: ten years, in seconds."""


def _span(value: str) -> str:
    if span_seconds(value) > _LONGEST:
        raise ValueError(f"{value} is longer than ten years")
    return value


_Span = Annotated[str, AfterValidator(_span)]


class Promotion(_Part):
    """Where releases come from: `after` is the environment before. `soak`: how long a release has to have been there.
    `fresh`: how long ago it may have been validated there at most.
    """

    after: str = Field(min_length=1)
    soak: _Span = "0s"
    fresh: _Span = "30d"


class AutoRun(_Part):
    """How often a page may run by itself: in an hour, in a day, and for which share of the environment's hosts in an
    hour (at least one).
    """

    an_hour: int = Field(1, ge=1, le=60)
    a_day: int = Field(3, ge=1, le=1000)
    share: float = Field(0.2, gt=0, le=1)


class OnAlert(_Part):
    """What an alert may start by itself. `check`: pages whose check may run, which reads and changes nothing.
    `run`: pages that may run, if they say `auto: true` themselves.
    """

    check: tuple[str, ...] = ()
    run: dict[str, AutoRun] = {}


class Channel(_Part):
    """Where messages go. `to`: the name of a secret, an address as Apprise knows them. `audience`: who reads it there.
    `events`: patterns of the events that it wants, such as incident-*. `person`: it gets only what pages this person.
    """

    to: str = Field(min_length=1)
    audience: str = "engineers"
    events: tuple[str, ...] = Field(("*",), min_length=1)
    # It came later: digests of old plans stay.
    person: str = Field("", exclude_if=lambda person: not person)


class Rotation(_Part):
    """How often a secret is changed. `max_age`: how old it may become. `by`: the page that changes it."""

    max_age: _Span
    by: str = ""


class Policy(_Part):
    """The content of environment.yml."""

    title: str = ""
    order: int = 0
    sandbox: bool = False
    contacts: tuple[str, ...] = ()
    choices: dict[str, tuple[str, ...] | ChoiceRule] = {}
    ports: Annotated[int, AfterValidator(checked_block)] | None = None
    urls: dict[str, str] = {}
    health: dict[str, str] = {}
    settings: dict[str, Any] = {}
    publish_records: Literal["none", "summary", "full"] = "summary"
    protected: bool = False
    approvals: int = Field(0, ge=0, le=9)
    approvers: tuple[str, ...] = ()
    approval_valid: _Span = "24h"
    windows: tuple[Window, ...] = ()
    freezes: tuple[str, ...] = ()
    time_zone: str = "UTC"
    labels: tuple[str, ...] = ()
    review_within: _Span = "72h"
    weak: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    secret_pages: dict[str, tuple[str, ...]] = {}
    promotion: Promotion | None = None
    channels: dict[str, Channel] = {}
    rotation: dict[str, Rotation] = {}
    on_alert: OnAlert = OnAlert()
    on_call: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")], ...] = ()

    @model_validator(mode="after")
    def _guarded(self) -> "Policy":
        """Reject a protected sandbox: sessions and other tools may change a sandbox, and they do not sign."""
        if self.sandbox and (self.protected or self.approvals or self.promotion):
            said = "it can be neither protected nor want approvals, nor have a promotion"
            raise ValueError(f"a sandbox is open to everybody: {said}")
        return self

    def told(self) -> dict[str, Any]:
        """Its content as JSON. Keys that came later are left out where they are not used: digests of old plans stay."""
        return self.model_dump(mode="json", exclude={key for key in _LATER if getattr(self, key) in _UNUSED})

    @field_validator("secrets")
    @classmethod
    def _references(cls, value: dict[str, str]) -> dict[str, str]:
        for name, reference in value.items():
            check_reference(name, reference)
        return value


_UNUSED: tuple[object, ...] = (None, {}, (), OnAlert())

_LATER = ("promotion", "freezes", "health", "channels", "rotation", "on_alert", "on_call", "secret_pages")

_PORT = re.compile(r"\{ports(?:\+([0-9]{1,9}))?\}")
_PLACEHOLDER = re.compile(r"\{ports(?![A-Za-z0-9_])[^{}]*\}")


def with_ports(text: str, first: int) -> str:
    """Replace {ports} and {ports+N} by port numbers. Raises ValueError for a port outside the block."""

    def number(found: re.Match[str]) -> str:
        known = _PORT.fullmatch(found[0])
        offset = int(known[1] or 0) if known else BLOCK
        if offset >= BLOCK:
            raise ValueError(
                f"{found[0]} is no port of the block of {BLOCK}; there is {{ports}}, {{ports+1}} and so on"
            )
        return str(first + offset)

    return _PLACEHOLDER.sub(number, text)


def check_reference(name: str, reference: str) -> None:
    """Raise ValueError unless this is a reference to a secret, not the secret itself."""
    scheme, _, rest = reference.partition(":")
    if scheme not in SCHEMES or not rest:
        known = ", ".join(f"{scheme}:…" for scheme in SCHEMES)
        raise ValueError(f"{name} is a secret and needs a reference ({known}), never the value itself")


@dataclass(frozen=True)
class Resolved:
    """The hosts of each group, with those of its children. `digest` is over groups and variables.

    `dynamic`: they may change without a change of a file; `asked` is when Ansible said so (UTC, ISO 8601). `sources`
    is the digest of the files that they are from.
    """

    groups: Mapping[str, tuple[str, ...]]
    digest: str = ""
    dynamic: bool = False
    asked: str = ""
    sources: str = ""


@dataclass(frozen=True)
class Environment:
    """A resolved environment. `choices` are lists.

    `inventory` is its folder, or the sources that opsbook.toml names, relative to the project root. Where hosts may
    change by themselves, `resolved` is the digest of what Ansible said of them, and `asked` when (UTC, ISO 8601).
    """

    name: str
    policy: Policy
    inventory: str | tuple[str, ...]
    hosts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resolved: str = ""
    asked: str = ""

    def keeping(self, hosts: Collection[str]) -> Self:
        """The same with these hosts only, where others may have come by themselves; as it is, if one is gone."""
        if not self.resolved or not set(hosts) <= set(self.hosts):
            return self
        groups = {name: tuple(host for host in members if host in hosts) for name, members in self.groups.items()}
        return replace(self, hosts=tuple(sorted(hosts)), groups=groups)
