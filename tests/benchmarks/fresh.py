"""Fresh processes: what can be measured only once in a process is measured in many of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

_TESTS = Path(__file__).parents[1]


def run_fresh(program: str, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> float:
    """Run a program in a process of its own; return the number that it prints.

    Args:
        program: Python; ``benchmarks`` can be imported in it.
        arguments: Those of the program.
        environ: Environment variables beside this process's own.
    """
    code = f"import sys; sys.path.insert(0, {str(_TESTS)!r})\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**_environ(), **(environ or {})},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout)


def _environ() -> dict[str, str]:
    """Return this process's environment, but for what keeps Python from keeping its bytecode: installers write it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@attrs.frozen(kw_only=True)
class Fresh:
    """A candidate whose every call is a process of its own.

    Attributes:
        name: Name of the candidate.
        program: Prints the seconds of what it does.
        arguments: Those of the program.
        environ: Environment variables beside this process's own.
    """

    name: str
    program: str
    arguments: Sequence[str] = ()
    environ: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def drain(self) -> None:
        """Leave nothing behind: the process has ended."""

    def close(self) -> None:
        """Leave nothing behind."""

    def once(self) -> bytes:
        """Run it, so that its files are in the system's memory."""
        run_fresh(self.program, self.arguments, self.environ)
        return b""

    def times(self, count: int) -> list[float]:
        """Run it several times; return the seconds of each."""
        return [run_fresh(self.program, self.arguments, self.environ) for _ in range(count)]
