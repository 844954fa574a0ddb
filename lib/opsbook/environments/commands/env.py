"""List environments, show one with its policy and hosts, and manage its ports."""

import argparse

from opsbook.console import common
from opsbook.core.planning import environment
from opsbook.environments import ports as blocks
from opsbook.errors import InputError


def listing(options: argparse.Namespace) -> int:
    """Every environment, in the order of their policies."""
    found, broken = environment.every(common.project(options))
    told = [{"name": e.name, "title": e.policy.title, "sandbox": e.policy.sandbox} for e in found]
    rows = [(e.name, e.policy.title or "—", len(e.hosts), "yes" if e.policy.sandbox else "no") for e in found]
    if found or options.json or not broken:
        none = "No environment yet. opsbook init makes one, or finds inventories that are there."
        common.tell_rows(options, told, ("NAME", "TITLE", "HOSTS", "SANDBOX"), rows, none)
    if broken:
        problems = [problem for error in broken for problem in error.problems]
        raise InputError(problems, "The others are fine; opsbook env show NAME looks at one.")
    return 0


def show(options: argparse.Namespace) -> int:
    """One environment: its policy, hosts and choices."""
    found = environment.load(common.project(options), options.name)
    hosts = {"inventory": found.inventory, "asked": found.asked or None, "groups": dict(found.groups)}
    age = [f"  its hosts may change by themselves; they are as of {common.local(found.asked)}"] if found.asked else []
    return common.tell(
        options,
        {"name": found.name, **found.policy.model_dump(mode="json"), **hosts, "choices": dict(found.choices)},
        f"{found.name}: {found.policy.title or 'no title'}{' (sandbox)' if found.policy.sandbox else ''}",
        *age,
        *(f"  group {name}: {', '.join(hosts)}" for name, hosts in found.groups.items()),
        *(f"  {name.lower()}s: {', '.join(values) or 'none'}" for name, values in found.choices.items()),
        *(f"  {name}: {url}" for name, url in found.policy.urls.items()),
        *(f"  secret {name}: {reference}" for name, reference in found.policy.secrets.items()),
    )


def ports(options: argparse.Namespace) -> int:
    """Show an environment's block of ports, or give this clone another one.

        opsbook env ports dev            show its ports on this machine
        opsbook env ports dev 18400      give this clone the block from 18400 on
        opsbook env ports dev --free     keep them if nobody else listens there, otherwise take a free block
        opsbook env ports dev --reset    go back to what environment.yml says

    Running services keep their ports until they are restarted.
    """
    settings, name = common.project(options), options.name
    if options.free:
        found = blocks.free(settings, name)
    elif options.reset:
        found = blocks.reset(settings, name)
    elif options.first is not None:
        found = blocks.give(settings, name, options.first)
    else:
        found = blocks.block(settings, name)
    moved = found.first != found.written
    told = {"first": found.first, "last": found.last, "moved": moved, "clone": found.clone, "written": found.written}
    why = f"given to this clone; environment.yml says {found.written}" if moved else "as environment.yml says"
    return common.tell(
        options,
        {"name": found.environment, **told, "urls": found.urls},
        f"{found.environment}: ports {found.first} to {found.last}, {why}",
        *(f"  {name}: {url}" for name, url in found.urls.items()),
    )
