"""The page for addresses that are none: it leads on, from wherever a server shows it."""

from opsbook.html import tag, text

FILE = "404.html"

_PAGES = {"home": "index.html", "all runbooks": "runbooks/index.html", "all records": "records/index.html"}


def body(root: str) -> str:
    """Its content. `root` is the path of the site on its server, empty if it has a host of its own."""
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
    """The theme's page with this content; a page without the theme's title stays as somebody wrote it."""
    return output.replace("<h1>404 - Not found</h1>", body(text(root)))
