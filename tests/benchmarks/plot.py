"""The plot: calls over the wire beside bare urllib3, for the documentation. The same figures give the same file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from . import bounds
from .report import Judgement
from .rows import Judged

OURS, THEIRS = "#2a6f97", "#b0b7bf"
_SETTINGS: Final = {"svg.hashsalt": "nexus-connector", "svg.fonttype": "none", "font.family": "sans-serif"}
_UNDATED: Final = {"Date": None, "Creator": None}
_FOREIGN: Final = {"requests GET", "httpx GET", bounds.DIY, bounds.DIY_REDIS}


def draw(judgements: Sequence[Judgement], file: Path) -> None:
    """Write the plot as SVG.

    Args:
        judgements: Groups of a run; the bars are those of ``wire`` and ``redis``.
        file: Where it is written.

    Raises:
        ValueError: If neither of these was measured.
    """
    # Imported here: with its numbers and fonts it takes longer to load than many a group to measure.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    bars = sorted(_bars(judgements), key=lambda judged: judged.value, reverse=True)
    if not bars:
        message = "a plot needs the groups wire or redis"
        raise ValueError(message)
    library: Any = mpl  # its types know half of it
    with library.rc_context(_SETTINGS):
        figure = Figure(figsize=(8.0, 0.34 * len(bars) + 1.0), layout="constrained")
        axes: Any = figure.add_subplot()
        axes.barh(
            [judged.row.of for judged in bars],
            [judged.value for judged in bars],
            xerr=[
                [max(0.0, judged.value - judged.low) for judged in bars],
                [max(0.0, judged.high - judged.value) for judged in bars],
            ],
            color=[THEIRS if judged.row.of in _FOREIGN else OURS for judged in bars],
            ecolor="#444444",
        )
        axes.axvline(1.0, color="#444444", linewidth=0.8)
        for place, judged in enumerate(bars):
            axes.annotate(
                f"{judged.value:.2f}",
                (max(judged.value, judged.high), place),
                xytext=(4, 0),
                textcoords="offset points",
                verticalalignment="center",
            )
        axes.set_xlabel("median time of a call; urllib3.PoolManager.request = 1")
        axes.margins(x=0.08, y=0.01)
        axes.spines[["top", "right"]].set_visible(False)
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata=_UNDATED)


def _bars(judgements: Sequence[Judgement]) -> list[Judged]:
    return [
        judged
        for judgement in judgements
        if judgement.group in {"wire", "redis"}
        for judged in judgement.rows
        if judged.row.statistic == "median" and judged.row.to == bounds.BARE
    ]
