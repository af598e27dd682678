"""The benchmarks: our calls against bare urllib3 and against others, side by side in one run.

Exit code 0: every row holds; 1: a row is missed; 3: the run is void, because a candidate that was measured twice
differs from itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from . import bounds
from .concurrency import measure_concurrent, measure_threads
from .costs import measure_costs
from .growth import measure_growth
from .load import Machine, Plan, take_core
from .pipeline import measure_pipeline
from .plot import draw
from .rejection import measure_rejection
from .report import Judgement, as_json, code_of, conclusion, figures, markdown, table
from .rows import Measured, judge
from .shared_state import measure_shared_state
from .starting import measure_starting
from .wire import measure_wire

GROUPS: Final[Mapping[str, Callable[[Machine], Measured]]] = {
    "wire": measure_wire,
    "redis": measure_shared_state,
    "pipeline": measure_pipeline,
    "costs": measure_costs,
    "rejection": measure_rejection,
    "concurrent": measure_concurrent,
    "threads": measure_threads,
    "starting": measure_starting,
    "growth": measure_growth,
}
"""What measures each group."""


def main() -> int:
    """Measure, print and write what was asked for; return the exit code."""
    options = _parser().parse_args()
    plan, core = Plan(rounds=options.rounds, calls=options.calls), take_core()
    judgements: list[Judgement] = []
    for group in options.only or GROUPS:
        with tempfile.TemporaryDirectory() as folder:
            measured = GROUPS[group](Machine(plan=plan, folder=Path(folder), core=core))
        judgements.append(
            Judgement(
                group=group,
                measured=measured,
                rows=[judge(row, measured.readings) for row in bounds.ROWS[group]],
                controls=[judge(row, measured.readings) for row in bounds.CONTROLS[group]],
            )
        )
        print(figures(measured), table(judgements[-1]), sep="\n\n", end="\n\n", flush=True)
    print(conclusion(judgements, plan.rounds))
    if options.json is not None:
        document = as_json(judgements, plan=plan)
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.table is not None:
        options.table.write_text(markdown(judgements, plan=plan), encoding="utf-8")
    if options.plot is not None:
        draw(judgements, options.plot)
    return code_of(judgements)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--rounds", type=_count, default=25, help="rounds of each group; default 25, 15 needed")
    parser.add_argument("--calls", type=_count, default=300, help="calls of each candidate in a round; default 300")
    parser.add_argument("--only", action="append", choices=list(GROUPS), help="this group only; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the rows there, as Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw wire and redis there, as SVG")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


if __name__ == "__main__":
    sys.exit(main())
