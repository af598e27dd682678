"""Pages that say what the code says: a Sphinx extension that fills them when they are read.

A page leaves a place to the code with a block of the language ``{generated}``; `filling` knows what can stand there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .filling import fill, has_blocks

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = fill(source[0])


def _outdated(_app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Return the pages that depend on the code: they are read in every build."""
    return [name for name in env.found_docs if has_blocks(Path(env.doc2path(name)).read_text(encoding="utf-8"))]
