"""What is wrong with an environment before anything runs in it: file, key, and what is expected."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from opsbook.core.catalog import catalog
from opsbook.core.model.environment import ChoiceRule, Environment
from opsbook.core.model.text import nearest
from opsbook.core.planning import environment as environments
from opsbook.core.planning import service_settings, yaml_files
from opsbook.core.source import page_name
from opsbook.core.trust import windows
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_VAULT = "$ANSIBLE_VAULT;"


def problems(settings: Settings, name: str) -> list[str]:
    """Every problem of an environment, a sentence each. Raises InputError if there is no such environment."""
    known = environments.names(settings)
    if name not in known:
        raise InputError(f"There is no environment {name}.", nearest(name, known))
    try:
        found = environments.load(settings, name)
    except InputError as error:
        return [*error.problems, *_variables(settings, name)]
    own = (_promotion, _freezes, _urls, _channels, _pages)
    file = yaml_files.shown(environments.policy_path(settings, name))
    return [*(f"{file}: {said}" for check in own for said in check(settings, found)), *_variables(settings, name)]


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


def _freezes(settings: Settings, found: Environment) -> Iterator[str]:
    for name in found.policy.freezes:
        one = found.policy.model_copy(update={"freezes": (name,)})
        try:
            windows.frozen(settings, found.name, one, datetime.now(UTC))
        except Refused as error:
            yield f"freezes: {error.message}"


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
    named = [
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
