"""Environments: what there is, and what one of them allows and knows."""

import argparse

from opsbook.cli import common
from opsbook.model.environment import Environment
from opsbook.policy import environment


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="list|show")
    listing = commands.add_parser("list", help="all of them")
    show = commands.add_parser("show", help="policy, hosts and choices of one")
    show.add_argument("name")
    for command in (listing, show):
        common.add_json(command)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if options.what == "show":
        return _show(environment.load(settings, options.name), options.json)
    found = [environment.load(settings, name) for name in environment.names(settings)]
    found.sort(key=lambda e: (e.policy.order, e.name))
    if options.json:
        common.print_json([{"name": e.name, "title": e.policy.title, "sandbox": e.policy.sandbox} for e in found])
    elif found:
        rows = [(e.name, e.policy.title or "—", len(e.hosts), "yes" if e.policy.sandbox else "no") for e in found]
        common.table(("NAME", "TITLE", "HOSTS", "SANDBOX"), rows)
    else:
        print("No environment yet. One is a folder playbooks/inventories/NAME with a hosts.yml.")
    return 0


def _show(found: Environment, as_json: bool) -> int:
    content = {
        "name": found.name,
        **found.policy.model_dump(mode="json"),
        "groups": dict(found.groups),
        "choices": dict(found.choices),
    }
    if as_json:
        common.print_json(content)
        return 0
    print(f"{found.name}: {found.policy.title or 'no title'}{' (sandbox)' if found.policy.sandbox else ''}")
    for name, hosts in found.groups.items():
        print(f"  group {name}: {', '.join(hosts)}")
    for name, values in found.choices.items():
        print(f"  {name.lower()}s: {', '.join(values) or 'none'}")
    for name, url in found.policy.urls.items():
        print(f"  {name}: {url}")
    for name, reference in found.policy.secrets.items():
        print(f"  secret {name}: {reference}")
    return 0
