"""What is wrong with an environment before anything runs in it: file, key, and what is expected."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from opsbook.core.catalog import catalog, flags
from opsbook.core.model.environment import ChoiceRule, Environment
from opsbook.core.model.text import nearest, one_line
from opsbook.core.planning import environment as environments
from opsbook.core.planning import service_settings, yaml_files
from opsbook.core.source import page_name
from opsbook.core.trust import calendars
from opsbook.errors import InputError
from opsbook.settings import Settings

_VAULT = "$ANSIBLE_VAULT;"

_SHOWN = 160
"""Characters of what a library says that are shown."""


def problems(settings: Settings, name: str) -> list[str]:
    """Every problem of an environment, a sentence each. Raises InputError if there is no such environment."""
    known = environments.names(settings)
    if name not in known:
        raise InputError(f"There is no environment {name}.", nearest(name, known))
    try:
        found = environments.load(settings, name)
    except InputError as error:
        return [*error.problems, *_variables(settings, name)]
    own = (_promotion, _ports, _freezes, _urls, _channels, _on_call, _pages)
    file = yaml_files.shown(environments.policy_path(settings, name))
    return [
        *(f"{file}: {said}" for check in own for said in check(settings, found)),
        *service_settings.own_problems(settings, found),
        *_variables(settings, name),
        *_flags(settings),
    ]


def _promotion(settings: Settings, found: Environment) -> Iterator[str]:
    """The environment that releases come from exists, offers the same files, and nothing goes round in circles."""
    seen, policy = [found.name], found.policy
    while policy.promotion:
        after = policy.promotion.after
        if after not in environments.names(settings):
            said = f"promotion.after: there is no environment {after}."
            yield f"{said} {nearest(after, environments.names(settings))}".rstrip()
            return
        if after in seen:
            yield f"promotion.after: {' comes from '.join([*seen, after])}; one has to be the first."
            return
        try:
            policy = environments.load_as_written(settings, after)
        except InputError:
            return  # It is a problem of that environment.
        rule = found.policy.choices.get("Release")
        if isinstance(rule, ChoiceRule) and rule.glob and "*" not in PurePosixPath(rule.glob).name:
            yield "choices.Release: the * is the version, and belongs into the file's name."
        if policy.choices.get("Release") != found.policy.choices.get("Release"):
            yield f"promotion.after: {after} has other releases: write the same rule under choices.Release."
        seen.append(after)


def _ports(settings: Settings, found: Environment) -> Iterator[str]:
    """No other environment has the same block of ports."""
    for name in environments.names(settings) if found.policy.ports else ():
        with contextlib.suppress(InputError):  # It is a problem of that environment.
            if name != found.name and environments.load_as_written(settings, name).ports == found.policy.ports:
                yield f"ports: {found.policy.ports} is the block of {name}, too. Take another hundred."


def _freezes(settings: Settings, found: Environment) -> Iterator[str]:
    """The calendars can be read, as they are in the folder."""
    now = datetime.now(UTC)
    for name in found.policy.freezes:
        try:
            list(calendars.between(calendars.draft(settings, name), found.policy.time_zone, now, now))
        except Exception as error:
            # Two libraries read what anybody wrote: it may raise anything.
            yield f"freezes: {name} is no calendar that can be read: {one_line(str(error), _SHOWN).rstrip('.')}."


def _on_call(settings: Settings, found: Environment) -> Iterator[str]:
    """The rotas whom its incidents page are there."""
    known = [path.stem for path in sorted((settings.root / "oncall").glob("*.ics"))]
    for name in found.policy.on_call:
        if name not in known:
            yield f"on_call: there is no oncall/{name}.ics. {nearest(name, known)}".rstrip()


def _flags(settings: Settings) -> Iterator[str]:
    """The flags of services can be read."""
    try:
        list(flags.flags(settings))
    except InputError as error:
        yield error.message


def _urls(settings: Settings, found: Environment) -> Iterator[str]:
    for key in ("urls", "health"):
        for name, url in getattr(found.policy, key).items():
            if said := _wrong_address(url):
                yield f"{key}.{name}: {said}."


def _wrong_address(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return f"it is no address: {error}"
    if parts.scheme not in ("http", "https", "postgresql") or not parts.hostname:
        return f"{url!r} is no address; write one such as http://127.0.0.1:8080"
    return "it has a password, which everybody would read" if parts.password is not None else ""


def _pages(settings: Settings, found: Environment) -> Iterator[str]:
    """The pages that it names are there."""
    pages, policy = [page_name.name_of(path) for path in catalog.paths(settings)], found.policy
    for name in policy.secret_pages:
        if name not in policy.secrets:
            yield f"secret_pages: there is no secret {name}. {nearest(name, policy.secrets)}".rstrip()
    named = [
        *((f"secret_pages.{name}", page) for name, each in policy.secret_pages.items() for page in each),
        *((f"rotation.{name}.by", each.by) for name, each in policy.rotation.items() if each.by),
        *(("on_alert.check", name) for name in policy.on_alert.check),
        *(("on_alert.run", name) for name in policy.on_alert.run),
    ]
    for key, page in named:
        if page not in pages:
            yield f"{key}: there is no page {page}. {nearest(page, pages)}".rstrip()


def _channels(settings: Settings, found: Environment) -> Iterator[str]:
    names = list(found.policy.channels)
    if found.policy.protected and len(names) == 1:
        yield f"channels: {names[0]} is the only one; if it fails, nobody is told. Name a second."


def _variables(settings: Settings, name: str) -> Iterator[str]:
    """What Ansible would read for the hosts of a folder, and the settings of services in it."""
    for path in service_settings.variable_files(settings, name):
        try:
            content = yaml_files.read(path)
        except InputError as error:
            yield error.message
            continue
        vaulted = isinstance(content, str) and content.startswith(_VAULT)
        if content is not None and not vaulted and not isinstance(content, dict):
            yield f"{yaml_files.shown(path)}: a file of variables is a mapping: NAME: VALUE."
    yield from service_settings.problems(settings, name)
