"""Compare every file of a record with its seal, the seal with its signature, and with the anchor if there is one.

Of one record, also say what it says of people (who ran, approved and reviewed it), and what proves that.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.record import store
from opsbook.core.trust import signing
from opsbook.errors import InputError
from opsbook.records import anchoring
from opsbook.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_run(parser, nargs="?")
    parser.add_argument("--all", action="store_true", help="every record")
    parser.add_argument("--anchor", metavar="PLACE", help="compare with this anchor too, not with that of opsbook.toml")
    common.add_json(parser)


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if not options.all and options.run is None:
        raise InputError("Which record?", "opsbook records verify RUN, or --all.")
    chosen, anchored = _chosen(settings, options)
    read = signing.verified(settings, [record for record in chosen if record.state != "running"])
    found = list(_joined(read, anchored))
    if options.json:
        own = {"anchor": list(anchored.own)} if anchored else {}
        common.print_json(
            {each.run: asdict(each) for each in found} | {n: list(map(asdict, f)) for n, f in own.items()}
        )
    else:
        _show(found)
        for flaw in anchored.own if anchored else ():
            say(f"{flaw.file}: {flaw.message}")
    if anchored:
        say(anchored.said, to=sys.stderr if options.json else sys.stdout)
    failed = anchored is not None and bool(anchored.own or (anchored.unread and options.all))
    return 1 if failed or any(each.flaws for each in found) else 0


def _joined(found: Iterator[signing.Verified], anchored: anchoring.Compared | None) -> Iterator[signing.Verified]:
    """The flaws of each record by seal and anchor; also of records that the anchor has and that are gone here."""
    left = dict(anchored.flaws) if anchored else {}
    for each in found:
        yield replace(each, flaws=(*each.flaws, *left.pop(each.run, ())))
    yield from (signing.Verified(run, tuple(flaws)) for run, flaws in left.items())


def _show(found: Sequence[signing.Verified]) -> None:
    for each in found:
        for flaw in each.flaws:
            event = f", event {flaw.event}" if flaw.event else ""
            say(f"{each.run}: {flaw.file}{event}: {flaw.message}" if flaw.file else f"{each.run}: {flaw.message}")
    for claim in found[0].claims if len(found) == 1 else ():
        proof = f"signed ({claim.key})" if claim.key else claim.flaw or "only said"
        spent = f"; spent {claim.spent}" if claim.spent else ""
        say(f"{found[0].run}: {claim.what} {claim.who}: {proof}{spent}")
    good = [each for each in found if not each.flaws]
    say(f"{len(good)} records are as they were sealed, {len(found) - len(good)} are not")
    for signer, count in Counter(each.signer for each in good if each.signer).most_common():
        say(f"  {count} signed by {signer}")
    for why, count in Counter(each.unsigned for each in good if each.unsigned).most_common():
        say(f"  {count} not signed: {why}")


def _chosen(settings: Settings, options: argparse.Namespace) -> tuple[list[store.Record], anchoring.Compared | None]:
    """The records, and their comparison with an anchor, which may also have a run whose record is gone."""
    if options.all:
        return list(store.records(settings.records)), anchoring.against_anchor(settings, options.anchor)
    try:
        record = store.find(settings.records, options.run)
    except InputError:
        anchored = anchoring.against_anchor(settings, options.anchor, options.run)
        if anchored is None or options.run not in anchored.flaws:
            raise
        return [], anchored
    return [record], anchoring.against_anchor(settings, options.anchor, record.id)
