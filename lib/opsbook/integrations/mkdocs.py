"""The plugin of MkDocs: feeds it the pages that opsbook makes. Everything else is done by the pages themselves.

In mkdocs.yml: `plugins: [search, offline, opsbook]`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from opsbook import settings
from opsbook.errors import InputError
from opsbook.site import lost_page, nav, place, publishing
from opsbook.site.publishing import ASSETS, SCRIPTS, STYLES

WATCHED = ("runbooks", "procedures", "lib", "playbooks", "opsbook.toml", "training.yml")
"""What besides docs/ `mkdocs serve` shows the changes of."""

_SHIM = "https://unpkg.com/iframe-worker/shim"
"""What Material's offline plugin would have the page load from the network; it is shipped."""


def _settings(config: MkDocsConfig) -> settings.Settings:
    return settings.load(Path(config.config_file_path).parent, given=True)


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong, in MkDocs' own kind of error: it prints the text alone."""
    try:
        yield
    except InputError as error:
        raise PluginError("\n  ".join([*error.problems, error.hint])) from error


class Options(Config):
    """There is nothing to set here: opsbook.toml says it."""


class OpsbookPlugin(BasePlugin[Options]):
    """Adds pages, data, scripts and styles; asks nothing of the network; shows changes while somebody writes."""

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        # The theme's word for itself leads to another host; whoever wants it sets it.
        config.extra.setdefault("generator", False)
        config.extra_css = [*STYLES, *config.extra_css]
        config.extra_javascript = [*SCRIPTS, *config.extra_javascript]
        with _told():
            at = nav.place(_settings(config), config.nav)
        if config.nav is not None and at is not None:
            config.nav = [*config.nav[:at], nav.entry(), *config.nav[at:]]
        return config

    def on_pre_build(self, *, config: MkDocsConfig) -> None:
        with _told():
            place.check_place(_settings(config), Path(config.site_dir))

    def on_files(self, files: Files, /, *, config: MkDocsConfig) -> Files:
        with _told():
            site = publishing.publish(_settings(config), config.site_name)
            place.mark_place(Path(config.site_dir))
        contents: dict[str, str | bytes] = {**site.pages, **site.assets}
        for path, content in contents.items():
            if written := files.get_file_from_path(path):
                # What its author wrote is in the page that was made of it.
                files.remove(written)
            files.append(File.generated(config, path, content=content))
        return files

    def on_post_page(self, output: str, /, *, page: Page, **_: Any) -> str:
        return output.replace(_SHIM, get_relative_url(f"{ASSETS}/iframe-worker.js", page.url))

    def on_post_template(self, output_content: str, /, *, template_name: str, config: MkDocsConfig) -> str:
        """The page for addresses that are none: a server gives it at any depth, so its paths begin at the root."""
        if template_name != lost_page.FILE:
            return output_content
        root = urlsplit(config.site_url or "").path.rstrip("/")
        return lost_page.adapted(output_content.replace(_SHIM, f"{root}/{ASSETS}/iframe-worker.js"), root)

    def on_serve(self, server: Any, /, *, config: MkDocsConfig, **_: Any) -> Any:
        root = Path(config.config_file_path).parent
        for name in WATCHED:
            if (root / name).exists():
                server.watch(str(root / name))
        return server
