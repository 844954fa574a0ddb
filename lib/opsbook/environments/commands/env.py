"""List environments, show one with its policy and hosts, and manage its ports."""

import argparse

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.environment import Environment
from opsbook.core.planning import environment
from opsbook.environments.commands import ports as env_ports
from opsbook.errors import InputError
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="list|show|ports")
    listing = commands.add_parser("list", help="all of them")
    show = commands.add_parser("show", help="policy, hosts and choices of one")
    show.add_argument("name", help="as opsbook env list shows it")
    for command in (listing, show):
        common.add_json(command)
    ports = commands.add_parser("ports", help="its ports on this machine, or others", description=env_ports.__doc__)
    env_ports.configure(ports)


def execute(options: argparse.Namespace) -> int:
    if options.what == "ports":
        return env_ports.execute(options)
    settings = common.project(options)
    if options.what == "show":
        return _show(environment.load(settings, options.name), options.json)
    found, problems = _load(settings)
    if options.json:
        common.print_json([{"name": e.name, "title": e.policy.title, "sandbox": e.policy.sandbox} for e in found])
    elif found:
        rows = [(e.name, e.policy.title or "—", len(e.hosts), "yes" if e.policy.sandbox else "no") for e in found]
        common.table(("NAME", "TITLE", "HOSTS", "SANDBOX"), rows)
    elif not problems:
        say("No environment yet. opsbook init makes one, or finds inventories that are there.")
    if problems:
        raise InputError(problems, "The others are fine; opsbook env show NAME looks at one.")
    return 0


def _load(settings: Settings) -> tuple[list[Environment], list[str]]:
    """Every valid environment in its order, and the problems of the broken ones."""
    found: list[Environment] = []
    problems: list[str] = []
    for name in environment.names(settings):
        try:
            found.append(environment.load(settings, name))
        except InputError as error:
            problems += error.problems
    return sorted(found, key=lambda e: (e.policy.order, e.name)), problems


def _show(found: Environment, as_json: bool) -> int:
    content = {
        "name": found.name,
        **found.policy.model_dump(mode="json"),
        "inventory": found.inventory,
        "asked": found.asked or None,
        "groups": dict(found.groups),
        "choices": dict(found.choices),
    }
    if as_json:
        common.print_json(content)
        return 0
    say(f"{found.name}: {found.policy.title or 'no title'}{' (sandbox)' if found.policy.sandbox else ''}")
    if found.asked:
        say(f"  its hosts may change by themselves; they are as of {common.local(found.asked)}")
    for name, hosts in found.groups.items():
        say(f"  group {name}: {', '.join(hosts)}")
    for name, values in found.choices.items():
        say(f"  {name.lower()}s: {', '.join(values) or 'none'}")
    for name, url in found.policy.urls.items():
        say(f"  {name}: {url}")
    for name, reference in found.policy.secrets.items():
        say(f"  secret {name}: {reference}")
    return 0
