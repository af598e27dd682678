"""The driver of the sync face: runs a coroutine that never suspends, and says who broke that rule."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Coroutine
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any, TypeVar

from ..errors import PluginError

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]
_HINT = (
    "Under Connector a stage or hook waits only through call.io (call.io.sleep, call.io.run ...); "
    "use AsyncConnector for code that needs asyncio itself."
)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in this thread, without an event loop.

    A running loop of the caller is hidden meanwhile, so that nothing inside can take it for its own.

    Raises:
        PluginError: If something inside waits on anything but ``call.io``; names its file and line.
    """
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()
    if asyncio is not None and loop is not None:
        asyncio._set_running_loop(None)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # the value of a coroutine is its T
    else:
        return _misused(coroutine)
    finally:
        if asyncio is not None and loop is not None:
            asyncio._set_running_loop(loop)


def _misused(coroutine: Coroutine[Any, Any, T]) -> T:
    """Throw the error into a coroutine that waits; it may answer that with a result."""
    error = misuse(coroutine)
    try:
        coroutine.throw(error)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    with contextlib.suppress(Exception):  # it may answer even its end with an error
        coroutine.close()  # it swallowed the error and waits again
    raise error


def misuse(coroutine: Coroutine[Any, Any, object]) -> PluginError:
    """Return the error for a coroutine that is suspended by something else than ``call.io``."""
    return _misuse(_culprit(coroutine))


def misuse_of(error: Exception) -> PluginError | None:
    """Return the same error for code that asked for a running event loop where there is none; ``None``: it did not."""
    if not (isinstance(error, RuntimeError) and str(error).startswith("no running event loop")):
        return None
    places = list(walk_tb(error.__traceback__))
    frame, line = ([place for place in places if _is_foreign(place[0])] or places)[-1]
    return _misuse(_place(frame, frame.f_code, line))


def _misuse(culprit: str) -> PluginError:
    return PluginError(f"{culprit} waited on something else than call.io.", hint=_HINT)


def _culprit(coroutine: Coroutine[Any, Any, object]) -> str:
    """Name the innermost frame of somebody else's code that is suspended, else the innermost one."""
    frames: list[tuple[FrameType | None, CodeType]] = []
    inner: Any = coroutine
    while inner is not None:
        code = getattr(inner, "cr_code", None) or getattr(inner, "gi_code", None) or getattr(inner, "ag_code", None)
        if code is not None:
            frame = (
                getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None)
            )
            frames.append((frame, code))
        inner = (
            getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None) or getattr(inner, "ag_await", None)
        )
    chosen = [frame for frame in frames if _is_foreign(frame[0])] or frames
    frame, code = chosen[-1]
    return _place(frame, code, frame.f_lineno if frame is not None else code.co_firstlineno)


def _place(frame: FrameType | None, code: CodeType, line: int) -> str:
    plugin = frame.f_globals.get("__name__", "?").partition(".")[0] if frame is not None else "?"
    return f"{code.co_qualname} of {plugin} ({code.co_filename}:{line})"


def _is_foreign(frame: FrameType | None) -> bool:
    if frame is None:
        return False
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package not in {_PACKAGE, "asyncio"}
