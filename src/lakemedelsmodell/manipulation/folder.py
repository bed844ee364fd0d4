"""The files of a manipulation run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakemedelsmodell.folders import to_json, versions
from lakemedelsmodell.manipulation.origin import PLAYED
from lakemedelsmodell.manipulation.results import Manipulation
from lakemedelsmodell.verdict import Verdict


def write_manipulation(found: Manipulation, folder: Path, *, origin: Mapping[str, Any] | None = None,
                       verdict: Verdict | None = None) -> None:
    """manipulation.json, manipulation.csv, frontier.csv, incentives.csv where they are known, and figures, into
    ``folder``; verdict.json where there is a run that play completes the verdict on.

    ``origin``: the world, as :mod:`~lakemedelsmodell.manipulation.origin` tells it.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "lakemedelsmodell"}):
        (folder / PLAYED).write_text(to_json({**(origin or {}), **found.to_dict(), "versions": versions()}),
                                     encoding="utf-8")
        if verdict:
            (folder / "verdict.json").write_text(to_json({**verdict.to_dict(), "versions": versions()}),
                                                 encoding="utf-8")
        found.gains.round(6).to_csv(folder / "manipulation.csv", index=False, lineterminator="\n")
        found.frontier.round(6).to_csv(folder / "frontier.csv", index=False, lineterminator="\n")
        figures = {"frontier": found.plot(), "gains": found.plot_gains()}
        if found.incentives:
            triggers = found.incentives.to_frame().round(6)
            triggers.to_csv(folder / "incentives.csv", index=False, lineterminator="\n")
            figures |= {f"incentives_{model}": found.plot_incentives(model) for model in triggers["model"].unique()}
        for name, axes in figures.items():
            figure = axes.get_figure(root=True)
            assert figure is not None
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)
