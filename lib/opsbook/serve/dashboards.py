"""Dashboards: what dashboards/NAME.yml says is plotted, asked of the Prometheus that watches an environment."""

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from opsbook import html
from opsbook.core.model.environment import Environment
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import environment, yaml_files
from opsbook.errors import EffectFailed, InputError
from opsbook.settings import Settings
from opsbook.shapes import Misfit, Shape

OVER = ("1h", "15m", "6h", "1d", "7d")
"""How far a dashboard can look back; the first unless somebody asks for another."""

_EVERY = 15.0
"""Seconds after which a dashboard is drawn anew."""

_PATIENCE = 10.0
"""Seconds for each answer."""

_WIDTH = 440
"""Pixels of a plot: two stand beside each other on a desk."""

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Panel(Shape):
    """One plot. In `query`, `$environment` is the name of the environment; `legend` names a series by its labels.

    `about` says what is usual, `page` is the runbook that helps when it is not, and `unit` is one of Grafana's.
    """

    title: str
    query: str
    legend: str = ""
    about: str = ""
    unit: str = "short"
    page: str = ""


class Dashboard(Shape):
    """A file of dashboards/."""

    title: str
    panels: tuple[Panel, ...]


def load(path: Path) -> Dashboard:
    """Raises InputError, with everything that is wrong with the file."""
    try:
        return Dashboard.read(yaml_files.read(path))
    except Misfit as error:
        where = [
            f"{yaml_files.shown(path)}: {'.'.join(map(str, each['loc']))}: {each['msg']}." for each in error.problems
        ]
        raise InputError(where) from error


def listed(settings: Settings) -> list[tuple[str, str]]:
    """Each environment that names its Prometheus, with each dashboard."""
    names = sorted(path.stem for path in _folder(settings).glob("*.yml"))
    watched = [each.name for each in environment.every(settings)[0] if _prometheus(each)] if names else []
    return [(place, name) for place in watched for name in names]


class DashboardPage:
    """A dashboard of one environment that somebody watches. Raises InputError for what is not there."""

    def __init__(self, settings: Settings, place: str, name: str, over: str, site: Path | None) -> None:
        if (place, name) not in listed(settings):
            raise InputError(f"There is no dashboard {name} of an environment {place}.")
        if over not in OVER:
            raise InputError(f"A dashboard looks back {', '.join(OVER)}; not {over}.")
        self.place, self.name, self.over, self._site = place, name, over, site
        self._address = _prometheus(environment.load(settings, place))
        self._file = _folder(settings) / f"{name}.yml"
        self.title = load(self._file).title

    def mark(self) -> tuple[int, ...]:
        """Changes when it is to be drawn anew."""
        return (int(time.monotonic() / _EVERY), self._file.stat().st_mtime_ns)

    def text(self) -> str:
        return html.render("serve/dashboard.html", told=self, spans=OVER, panels=self._panels())

    def body(self) -> str:
        """What changes."""
        return html.render("serve/dashboard-body.html", panels=self._panels())

    def _panels(self) -> list[tuple[Panel, str, str]]:
        """Each with its plot, and the address of its runbook on the docs site if that has it."""
        panels = load(self._file).panels
        with ThreadPoolExecutor(4) as asking:
            return list(zip(panels, asking.map(self._plot, panels), map(self._helps, panels), strict=True))

    def _helps(self, panel: Panel) -> str:
        file = f"{panel.page}.html"
        return f"/site/{quote(file)}" if panel.page and self._site and (self._site / file).is_file() else ""

    def _plot(self, panel: Panel) -> str:
        """The plot as SVG, or why there is none."""
        # Whoever asks nobody need not load what asks.
        from opsbook.core.effects import plot, promql

        now, query = time.time(), panel.query.replace("$environment", self.place)
        try:
            found = promql.between(self._address, query, now - span_seconds(self.over), now, timeout=_PATIENCE)
        except EffectFailed as error:
            return html.text(str(error))
        return plot.svg(panel.title, [(_named(panel, line.labels, line.name), line.points) for line in found], _WIDTH)


def _named(panel: Panel, labels: Mapping[str, str], otherwise: str) -> str:
    """The name of a series in the legend."""
    return _LABEL.sub(lambda match: labels.get(match[1], ""), panel.legend) or otherwise


def _folder(settings: Settings) -> Path:
    return settings.root / "dashboards"


def _prometheus(found: Environment) -> str:
    """The address of the Prometheus that watches an environment; empty if it names none."""
    told = found.policy.urls.get("prometheus") or found.policy.settings.get("prometheus")
    return told.rstrip("/") if isinstance(told, str) else ""
