"""Redirects: decides, purely, where an answer may send a request next and what it may carry there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

import attrs

from ..errors import InvalidRequestError
from ..headers import Headers
from ..message import Request
from . import SendError
from .origin import split_base

if TYPE_CHECKING:
    from . import TransportOptions

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_FOLLOWED = frozenset({"GET", "HEAD"})
_HARMLESS = frozenset({"accept", "accept-language", "user-agent", "range", "if-none-match", "if-modified-since"})
"""All that crosses to another origin: what is not known to be harmless may be a credential."""
_URL_SIGNS = "!#$%&'()*+,/:;=?@[]~"


def next_request(request: Request, status: int, location: str | None, options: TransportOptions) -> Request | None:
    """Return the request that an answer asks for; ``None``: the answer stands.

    Args:
        request: What was sent, with its base URL.
        status: HTTP status of the answer.
        location: Its Location, if it has one.
        options: Whether redirects are followed, and where to.

    Raises:
        SendError: If it leads where requests of this service may not go.

    >>> from . import TransportOptions
    >>> request = Request(path="/a", query=(("token", "1"),), base_url="https://api.example/v1")
    >>> next_request(request, 302, "/b?c=2", TransportOptions(follow_redirects=True)).url
    'https://api.example/b?c=2'
    """
    if not options.follow_redirects or status not in REDIRECTS or not location:
        return None
    if request.method not in _FOLLOWED or request.body or request.source is not None:
        return None
    here, base_path = split_base(request.base_url)
    try:
        where = quote(location.encode("latin-1"), safe=_URL_SIGNS)
        parts = urlsplit(urljoin(f"{here}{base_path}{request.target}", where))
        target, _ = split_base(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, InvalidRequestError) as error:
        message = "The answer redirects to something that is no host over https."
        raise _refusal(message) from error
    if target == here:
        headers = request.headers
    elif target.host in {host.lower() for host in options.allowed_hosts}:
        headers = Headers([field for field in request.headers.pairs() if field[0].lower() in _HARMLESS])
    else:
        message = f"The answer redirects to {target.host}, which is not in allowed_hosts."
        raise _refusal(message)
    # The query stays in the path as it came: decoding and encoding it could break a signature in it.
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return attrs.evolve(request, base_url=str(target), path=path, query=(), headers=headers)


def too_many() -> SendError:
    """Return the failure of a request that is redirected again and again."""
    return _refusal(f"The answer redirects more than {MAX_REDIRECTS} times.")


def _refusal(message: str) -> SendError:
    return SendError(message, phase="read", wrote=True, transient=False, own=True)
