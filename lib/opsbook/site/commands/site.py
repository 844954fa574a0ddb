"""Build the docs site, preview it while writing, or write its pages for another generator.

It shows the pages that runs use, with facts from their records as of the build. Building executes nothing.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsbook.console import common
from opsbook.console.text import say
from opsbook.errors import InputError
from opsbook.scaffold.origin import requirement
from opsbook.settings import Settings
from opsbook.site import place as site_place
from opsbook.site import written


def build(options: argparse.Namespace) -> int:
    """Write the site; fails on a broken link or page, with file and line."""
    settings = common.project(options)
    if options.tree:
        folder = options.tree.resolve()
        told = {"tree": str(folder), "files": written.write_tree(settings, folder)}
    else:
        folder = _build(settings, options.out)
        told = {"site": str(folder), "files": sum(1 for path in folder.rglob("*") if path.is_file())}
    hint = "Build it there." if options.tree else "index.html opens in a browser, without a server."
    return common.tell(options, told, f"{told['files']} files in {folder}. {hint}")


def _build(settings: Settings, out: Path | None) -> Path:
    with _mkdocs():
        from mkdocs.commands import build as builder
        from mkdocs.config import load_config

        config = load_config(str(written.config_path(settings)), **({"site_dir": str(out.resolve())} if out else {}))
        site_place.check_place(settings, Path(config.site_dir))
        config.plugins.on_startup(command="build", dirty=False)
        try:
            builder.build(config)
        except OSError as error:
            raise InputError(f"The site cannot be written: {error}.", "Correct that, or name a folder.") from error
        finally:
            config.plugins.on_shutdown()
        return Path(config.site_dir)


def serve(options: argparse.Namespace) -> int:
    """Serve the site on this machine, and reload on changes."""
    path = written.config_path(common.project(options))
    with _mkdocs():
        from mkdocs.commands import serve as server

        common.check_free(options.port)
        say(f"http://127.0.0.1:{options.port}/  (Ctrl-C ends it)")
        server.serve(str(path), dev_addr=f"127.0.0.1:{options.port}", strict=False)
    return 0


@contextmanager
def _mkdocs() -> Iterator[None]:
    """Errors of MkDocs, also that it is not there, become an InputError."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    try:
        from mkdocs.exceptions import Abort, MkDocsException
    except ImportError as error:
        hint = f"Install it: pip install '{requirement('site')}', or make install in a clone of opsbook."
        raise InputError("The docs site needs MkDocs.", hint) from error
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    logger = logging.getLogger("mkdocs")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        yield
    except MkDocsException as error:
        # Abort has no reason of its own: MkDocs has logged it already.
        said = "The site was not built." if isinstance(error, Abort) else f"The site was not built: {error}"
        raise InputError(said, "Correct what is named above, and build again.") from error
    finally:
        logger.removeHandler(handler)
