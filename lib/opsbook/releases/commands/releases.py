"""Releases: list them, show one with every run of it, and say which one is where."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import one_line
from opsbook.core.record.deliveries import Delivery
from opsbook.releases import releases
from opsbook.releases.releases import SHORT, Build, Place, builds, gates, version_of, words


def listing(options: argparse.Namespace) -> int:
    """Every release that was built, and where it is."""
    settings = common.project(options)
    places = releases.where(settings)
    found = [(each, releases.serving(places, each)) for each in releases.built(settings)]
    told = [asdict(each) | {"in": there} for each, there in found]
    rows = [(each.component, each.version, each.sha256[:SHORT], ", ".join(there) or "—") for each, there in found]
    none = "No release was built yet. A page does that, such as build-release of the reference platform."
    return common.tell_rows(options, told, ("COMPONENT", "VERSION", "SHA-256", "IN"), rows, none)


def show(options: argparse.Namespace) -> int:
    """One release: its file, who built it and what it needs, and every run of it, the newest first."""
    settings = common.project(options)
    built, runs = releases.history(settings, options.release)
    by = builds(settings.records)
    if options.json:
        told = [asdict(each) | {"build": asdict(by[each.sha256]) if each.sha256 in by else None} for each in built]
        kept = [asdict(each) | {"gates": gates(settings.records, each.run)} for each in runs]
        return common.tell(options, {"built": told, "runs": kept})
    for each in built:
        say(f"{each.name}: {each.file}, SHA-256 {each.sha256}")
        for line in _origin(by.get(each.sha256)):
            say(f"  {line}")
    if not built:
        say("Its file is gone; these runs knew it.")
    ours = {each.sha256 for each in built}
    rows = [
        (each.environment, each.outcome, common.local(each.ended.isoformat()), each.by, each.run, _bytes(each, ours))
        for each in runs
    ]
    none = "No run had it yet."
    common.tell_rows(options, None, ("ENVIRONMENT", "OUTCOME", "ENDED", "BY", "RUN", "SHA-256"), rows, none)
    for run in runs:
        for name, found in gates(settings.records, run.run).items():
            say(f"{run.environment}: {one_line(name)}: {one_line(found)}")
    return 0


def _origin(build: Build | None) -> Iterator[str]:
    """Who built it, what it needs, and its parts, as far as they are known."""
    if build is None:
        yield "No record says who built it."
        return
    commit = f", project at commit {build.shown_commit()}" if build.commit else ""
    yield f"built by {build.by}, {common.local(build.ended)}{commit}: {build.run}"
    for name, said in build.manifest.items():
        # Its files would be a page of their own.
        if isinstance(said, Mapping) and name != "files":
            yield f"{name}: {'; '.join(words(said))}"


def _bytes(found: Delivery, ours: set[str]) -> str:
    other = "" if found.sha256 in ours or not ours else ", other bytes"
    return found.sha256[:SHORT] + other


def where(options: argparse.Namespace) -> int:
    """Which release is in which environment, since when and by which run."""
    places = releases.where(common.project(options))
    rows = [_row(each) for each in places]
    columns = ("ENVIRONMENT", "COMPONENT", "VERSION", "SINCE", "BY", "RUN")
    none = "No run has put a release anywhere yet."
    common.tell_rows(options, list(map(_place, places)), columns, rows, none)
    if not options.json:
        for line in (line for each in places for line in _remarks(each)):
            say(line)
    return 0


def _row(place: Place) -> tuple[object, ...]:
    found = place.placed.delivery
    if found is None:
        return (place.environment, place.component, "unknown", "—", "—", "—")
    since = common.local(found.ended.isoformat())
    return (place.environment, place.component, place.version, since, found.by, found.run)


def _remarks(place: Place) -> list[str]:
    found, unsure = [], place.placed.unsure
    if unsure:
        state = "still runs" if unsure.outcome == "running" else f"is {unsure.outcome}"
        found.append(f"{place.environment}: {unsure.run} {state}; what serves there may be another release.")
    if place.before:
        other = version_of(place.there.file) if place.there else "none"
        found.append(f"{place.environment} has {place.component} {place.version}, {place.before} has {other}.")
    return found


def _place(place: Place) -> dict[str, Any]:
    found = place.placed
    return {
        "environment": place.environment,
        "component": place.component,
        "version": place.version,
        "release": asdict(found.delivery) if found.delivery else None,
        "unsure": asdict(found.unsure) if found.unsure else None,
        "before": {"environment": place.before, "release": asdict(place.there) if place.there else None}
        if place.before
        else None,
    }
