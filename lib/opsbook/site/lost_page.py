"""The 404 page, with links that work at any depth."""

from opsbook.html import tag, text

FILE = "404.html"

_PAGES = {"home": "index.html", "all runbooks": "runbooks/index.html", "all records": "records/index.html"}


def body(root: str) -> str:
    """The page's content. `root` is the path of the site on its server; empty if it is at the root."""
    links = ", ".join(tag("a", name, href=f"{root}/{path}") for name, path in _PAGES.items())
    search = tag("label", "Search", for_="__search", class_="md-button")
    lines = (
        tag("h1", "There is no such page"),
        tag("p", "It has another name now, or the address was cut. Press <kbd>/</kbd> and type what you look for."),
        tag("p", search),
        tag("p", f"Or go on from here: {links}."),
    )
    return "\n".join(lines)


def adapted(output: str, root: str) -> str:
    """The theme's 404 page with this content; a custom page without the theme's title stays as it is."""
    return output.replace("<h1>404 - Not found</h1>", body(text(root)))
