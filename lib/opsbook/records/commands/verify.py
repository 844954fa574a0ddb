"""Compare every file of a record with its seal, the seal with its signature, and with the anchor if there is one.

Of one record, also say what it says of people (who ran, approved and reviewed it), and what proves that.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import number_of
from opsbook.core.record import store
from opsbook.core.trust import signing
from opsbook.errors import InputError
from opsbook.incidents import store as incidents
from opsbook.records import anchoring
from opsbook.settings import Settings


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    if not options.all and options.run is None:
        raise InputError("Which record?", "opsbook records verify RUN, or --all.")
    chosen, anchored = _chosen(settings, options)
    read = chain(
        signing.verified(settings, [each for each in chosen if each.state not in ("running", "open")]),
        (incidents.verified(settings, each.folder) for each in chosen if each.state == "open"),
    )
    found = list(_joined(read, anchored))
    if options.json:
        told: dict[str, object] = {each.run: asdict(each) for each in found}
        common.tell(options, told | ({"anchor": list(map(asdict, anchored.own))} if anchored else {}))
    else:
        _show(found)
        for flaw in anchored.own if anchored else ():
            say(f"{flaw.file}: {flaw.message}")
    if anchored:
        say(anchored.said, to=sys.stderr if options.json else sys.stdout)
    failed = anchored is not None and bool(anchored.own or (anchored.unread and options.all))
    return 1 if failed or any(each.flaws for each in found) else 0


def _joined(found: Iterable[signing.Verified], anchored: anchoring.Compared | None) -> Iterator[signing.Verified]:
    """The flaws of each record by seal and anchor; also of records that the anchor has and that are gone here."""
    left = dict(anchored.flaws) if anchored else {}
    for each in found:
        yield replace(each, flaws=(*each.flaws, *left.pop(each.run, ())))
    yield from (signing.Verified(run, tuple(flaws)) for run, flaws in left.items())


def _show(found: Sequence[signing.Verified]) -> None:
    for each in found:
        for flaw in each.flaws:
            say(f"{each.run}: {flaw}")
    for claim in found[0].claims if len(found) == 1 else ():
        proof = f"signed ({claim.key})" if claim.key else claim.flaw or "only said"
        spent = f"; spent {claim.spent}" if claim.spent else ""
        say(f"{found[0].run}: {claim.what} {claim.who}: {proof}{spent}")
    bad = sum(bool(each.flaws) for each in found)
    say(f"{len(found) - bad} records are as they were sealed, {bad} are not")
    for line in signing.signers(found):
        say(f"  {line}")


def _chosen(settings: Settings, options: argparse.Namespace) -> tuple[list[store.Record], anchoring.Compared | None]:
    """The records, and their comparison with an anchor, which may also have a run whose record is gone."""
    if options.all:
        chosen = [*store.records(settings.records), *store.incidents(settings.records)]
        return chosen, anchoring.against_anchor(settings, options.anchor)
    try:
        record = store.find_any(settings.records, options.run)
    except InputError:
        anchored = anchoring.against_anchor(settings, options.anchor, options.run)
        if anchored is None or options.run not in anchored.flaws:
            raise
        return [], anchored
    return [record], anchoring.against_anchor(settings, options.anchor, record.id)


def anchor(options: argparse.Namespace) -> int:
    """Write the digest of every new seal to a place outside the records folder.

    The place is a file, or git:REMOTE or git:REMOTE#BRANCH; --to names it, or anchor in opsbook.toml. From then on, a
    record that was removed or sealed anew is reported by opsbook records verify. Each records folder needs its own
    place.
    """
    done = anchoring.anchor(common.project(options), options.to)
    pruned = f", {len(done.pruned)} pruned" if done.pruned else ""
    said = f"{number_of(len(done.records), 'record')} anchored{pruned} in {done.place}, line {done.seq}"
    if not (done.records or done.pruned):
        said = f"Nothing is new since {done.time or 'ever'} in {done.place}."
    unlike = f"{number_of(len(done.unlike), 'record')} not as anchored before: opsbook records verify --all names them."
    return common.tell(options, asdict(done), said, *([unlike] if done.unlike else []))
