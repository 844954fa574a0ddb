"""What people do in a browser: they sign in by a link of the command line, and act on incidents by forms."""

from dataclasses import replace
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from opsbook.errors import InputError, OpsbookError
from opsbook.incidents import store
from opsbook.serve import forms, pages
from opsbook.serve.pages import Visitor
from opsbook.serve.serving import HEADERS, body, page, serving_of

_COOKIE = "opsbook"

_ELSEWHERE = "This form was not sent from a page of this server, so nothing was done."
_NOBODY = (
    "You are not signed in, or no longer: nothing was done. Type opsbook sign-in, open its link, and send it again."
)


async def sign_in(request: Request) -> Response:
    """Begin a session with the key of a link, and go on to the incidents."""
    key = serving_of(request).sessions.begin(request.query_params.get("key", ""))
    if key is None and not _visitor(request).who:
        said = "This link is unknown, was used before, or is older than 5 minutes. opsbook sign-in makes another one."
        return page(pages.problem(said), 403)
    answer = _on("/incidents")
    if key is not None:
        # Lax: a link in a chat leads to the page with its forms. Forms of other pages are told by their origin.
        secure = serving_of(request).address.startswith("https:")
        answer.set_cookie(_COOKIE, key, httponly=True, samesite="lax", secure=secure)
    return answer


async def sign_out(request: Request) -> Response:
    if not _from_here(request):
        return page(pages.problem(_ELSEWHERE), 403)
    serving_of(request).sessions.end(request.cookies.get(_COOKIE, ""))
    answer = _on("/incidents")
    answer.delete_cookie(_COOKIE, httponly=True, samesite="lax")
    return answer


async def listing(request: Request) -> Response:
    return await _listed(request, _visitor(request))


async def _listed(request: Request, visitor: Visitor, status: int = 200) -> Response:
    serving = serving_of(request)
    about = (serving.settings, serving.counted, serving.site, visitor)
    return page(await run_in_threadpool(pages.listing, *about), status)


async def watched(request: Request) -> pages.IncidentPage:
    """The page of an incident. Raises InputError: what stands in an address is no path."""
    serving = serving_of(request)
    path = store.exact(serving.settings, request.path_params["incident"])
    return await run_in_threadpool(pages.IncidentPage, serving.settings, path, serving.site)


async def incident(request: Request) -> Response:
    return await _shown(request, _visitor(request))


async def _shown(request: Request, visitor: Visitor, status: int = 200) -> Response:
    found = await watched(request)
    return page(await run_in_threadpool(found.text, visitor), status)


async def open_(request: Request) -> Response:
    """Open an incident, and go on to its page."""
    if request.method != "POST":
        return _on("/incidents")
    sent = await _sent(request, "open")
    if sent.problem:
        return await _listed(request, sent, 403)
    settings = serving_of(request).settings
    try:
        made = await run_in_threadpool(forms.open_, settings, sent.said, sent.who)
    except OpsbookError as error:
        return await _listed(request, replace(sent, problem=str(error)), 400)
    return _on(f"/incidents/{quote(made.id)}")


async def act(request: Request) -> Response:
    """Do what a form of an incident says. What was typed stands there again if it was not done."""
    name = request.path_params["form"]
    path = store.exact(serving_of(request).settings, request.path_params["incident"])
    if request.method != "POST":
        # Somebody has loaded the page of a form again that was not done.
        return _on(f"/incidents/{quote(path.name)}")
    sent = await _sent(request, name)
    if sent.problem:
        return await _shown(request, sent, 403)
    try:
        settings = serving_of(request).settings
        problem = await run_in_threadpool(forms.act, settings, path.name, name, sent.said, sent.who)
    except OpsbookError as error:
        return await _shown(request, replace(sent, problem=str(error)), 400)
    return (
        await _shown(request, Visitor(sent.who, problem=problem)) if problem else _on(f"/incidents/{quote(path.name)}")
    )


async def _sent(request: Request, form: str) -> Visitor:
    """What somebody sent; `problem` says why nothing may be done with it. Raises InputError for what is no form."""
    try:
        text = (await body(request, forms.LARGEST)).decode()
        said = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except (ValueError, ClientDisconnect) as error:
        raise InputError("What was sent is no form.", "Go back, and send it again.") from error
    visitor = replace(_visitor(request), form=form, said=said)
    if not _from_here(request):
        # Nothing of it is shown: it is not what this person typed.
        return Visitor(visitor.who, problem=_ELSEWHERE)
    return visitor if visitor.who else replace(visitor, problem=_NOBODY)


def _visitor(request: Request) -> Visitor:
    return Visitor(serving_of(request).sessions.who(request.cookies.get(_COOKIE, "")))


def _from_here(request: Request) -> bool:
    """Whether a page of this server sent it: any page that is open in the browser may send its cookies here."""
    here = serving_of(request).address or f"{request.url.scheme}://{request.headers.get('host')}"
    return request.headers.get("origin") == here


def _on(place: str) -> Response:
    return RedirectResponse(place, 303, HEADERS)
