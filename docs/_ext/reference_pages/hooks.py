"""Hooks: the text of one specification, as its docstring says it."""

from __future__ import annotations

import inspect
import re
from typing import Final

from nexus_connector import hookspecs

from .markdown import plain, summary
from .sources import implementers, told_by

LINES: Final = ("Fires", "Arguments", "Returns", "Errors", "Threads")
"""What a specification says, in its order."""


def hook(path: str) -> str:
    """Return what stands below the heading of a hook.

    Args:
        path: Where it is, as ``nexus_connector.hookspecs.before_request``.
    """
    name = path.strip().rpartition(".")[2]
    function = getattr(hookspecs, name)
    parts = re.split(rf"^({'|'.join(LINES)}): ", inspect.getdoc(function) or "", flags=re.MULTILINE)
    lines = [f"- **{head}**: {plain(text)}" for head, text in zip(parts[1::2], parts[2::2], strict=True)]
    signature = inspect.signature(function)
    taken = ", ".join(f"{each.name}: {each.annotation}" for each in signature.parameters.values())
    if "call" not in signature.parameters:
        lines.append(f"- **Shipped**: {told_by(implementers().get(name, ()), 'implemented')}")
    return "\n".join(
        [summary(function), "", "```python", f"def {name}({taken}) -> {signature.return_annotation}", "```", "", *lines]
    )
