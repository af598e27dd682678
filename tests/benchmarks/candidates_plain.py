"""Plain clients: bare urllib3, which everything is measured by, requests and httpx."""

from __future__ import annotations

from typing import Final

import httpx
import requests
import urllib3

from .load import Blocking

DOCUMENT: Final = {"text": "x" * 1000}
"""What is posted: 1 KB of JSON."""


def bare_get(url: str, name: str) -> Blocking:
    """Return GET through a `urllib3.PoolManager`."""
    pool = urllib3.PoolManager()
    return Blocking(name=name, call=lambda: pool.request("GET", url).data, close=pool.clear)


def bare_post(url: str, name: str) -> Blocking:
    """Return POST through a `urllib3.PoolManager`, which encodes the document, as all others do."""
    pool = urllib3.PoolManager()
    return Blocking(name=name, call=lambda: pool.request("POST", url, json=DOCUMENT).data, close=pool.clear)


def requests_get(url: str, name: str) -> Blocking:
    """Return GET through a `requests.Session`."""
    session = requests.Session()
    return Blocking(name=name, call=lambda: session.get(url).content, close=session.close)


def httpx_get(url: str, name: str) -> Blocking:
    """Return GET through an `httpx.Client`."""
    client = httpx.Client()
    return Blocking(name=name, call=lambda: client.get(url).content, close=client.close)
