"""Workers: how many processes the environment says that an application server starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

_VARIABLES: Final = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS", "UWSGI_PROCESSES", "UWSGI_WORKERS")
"""gunicorn and uvicorn read the first one; ``PREFIX_OPTION`` is how uvicorn, granian and uWSGI take every option."""
_GUNICORN: Final = "GUNICORN_CMD_ARGS"
_GUNICORN_OPTION: Final = re.compile(r"(?:^|\s)(?:-w\s*|--workers[=\s]\s*)(\d+)")


@attrs.frozen
class Workers:
    """What the environment says.

    Attributes:
        setting: The variable as it is set: ``WEB_CONCURRENCY=4``.
        count: How many processes it asks for.
    """

    setting: str
    count: int


def workers(environ: Mapping[str, str]) -> Workers | None:
    """Return the setting that asks for most processes; ``None``: none asks for more than one.

    >>> workers({"WEB_CONCURRENCY": "4"})
    Workers(setting='WEB_CONCURRENCY=4', count=4)
    >>> workers({"GUNICORN_CMD_ARGS": "--bind :8000 -w 3"})
    Workers(setting='GUNICORN_CMD_ARGS (-w 3)', count=3)
    """
    found = [Workers(f"{name}={text}", int(text)) for name in _VARIABLES if (text := environ.get(name, "")).isdecimal()]
    options = [*_GUNICORN_OPTION.finditer(environ.get(_GUNICORN, ""))]
    found += [Workers(f"{_GUNICORN} ({each[0].strip()})", int(each[1])) for each in options[-1:]]  # the last one counts
    most = max(found, key=lambda each: each.count, default=None)
    return most if most is not None and most.count > 1 else None
