"""The MkDocs plugin: adds the pages that opsbook generates.

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
from opsbook.site import lists, place, publishing
from opsbook.site.site import ASSETS, SCRIPTS, STYLES

WATCHED = ("runbooks", "procedures", "lib", "playbooks", "opsbook.toml", "training.yml")
"""Folders and files that `mkdocs serve` watches besides docs/."""

_SHIM = "https://unpkg.com/iframe-worker/shim"
"""A script that Material's offline plugin would load from the network; opsbook ships it."""


def _settings(config: MkDocsConfig) -> settings.Settings:
    return settings.load(Path(config.config_file_path).parent, given=True)


@contextmanager
def _told() -> Iterator[None]:
    """Turn an InputError into MkDocs' PluginError, which is printed without a traceback."""
    try:
        yield
    except InputError as error:
        raise PluginError("\n  ".join([*error.problems, error.hint])) from error


class Options(Config):
    """No options: the settings are in opsbook.toml."""


class OpsbookPlugin(BasePlugin[Options]):
    """Adds pages, data, scripts and styles without network requests; reloads on changes while serving."""

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        # The theme's "Made with" notice links to another host; a project may enable it.
        config.extra.setdefault("generator", False)
        config.extra_css = [*STYLES, *config.extra_css]
        config.extra_javascript = [*SCRIPTS, *config.extra_javascript]
        if config.nav is not None:
            with _told():
                config.nav = lists.with_training(_settings(config), config.nav)
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
                # The generated page contains the author's text.
                files.remove(written)
            files.append(File.generated(config, path, content=content))
        return files

    def on_post_page(self, output: str, /, *, page: Page, **_: Any) -> str:
        return output.replace(_SHIM, get_relative_url(f"{ASSETS}/iframe-worker.js", page.url))

    def on_post_template(self, output_content: str, /, *, template_name: str, config: MkDocsConfig) -> str:
        """Fill the 404 page. A server shows it at any depth, so its links begin at the root."""
        if template_name != lists.LOST:
            return output_content
        root = urlsplit(config.site_url or "").path.rstrip("/")
        return lists.lost_page(output_content.replace(_SHIM, f"{root}/{ASSETS}/iframe-worker.js"), root)

    def on_serve(self, server: Any, /, *, config: MkDocsConfig, **_: Any) -> Any:
        root = Path(config.config_file_path).parent
        for name in WATCHED:
            if (root / name).exists():
                server.watch(str(root / name))
        return server
