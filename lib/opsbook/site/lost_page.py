"""The 404 page, with links that work at any depth."""

from opsbook.html import render

FILE = "404.html"


def adapted(output: str, root: str) -> str:
    """The theme's 404 page with this content; a custom page without the theme's title stays as it is.

    `root` is the path of the site on its server; empty if it is at the root.
    """
    return output.replace("<h1>404 - Not found</h1>", render("site/lost.html", root=root))
