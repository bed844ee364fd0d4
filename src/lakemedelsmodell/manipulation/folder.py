"""The folder of a manipulation run, written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakemedelsmodell.folders import to_json, versions, written_folder
from lakemedelsmodell.manipulation.results import Manipulation


def write_manipulation(found: Manipulation, out: Path, inputs: Sequence[Path] = ()) -> None:
    """manipulation.json, manipulation.csv, frontier.csv, incentives.csv where they are known, figures and a manifest.

    Raises UserError for a folder that is not to be replaced.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with written_folder(out, inputs) as stage, plt.rc_context({"svg.hashsalt": "lakemedelsmodell"}):
        (stage / "manipulation.json").write_text(to_json({**found.to_dict(), "versions": versions()}), encoding="utf-8")
        found.gains.round(6).to_csv(stage / "manipulation.csv", index=False, lineterminator="\n")
        found.frontier.round(6).to_csv(stage / "frontier.csv", index=False, lineterminator="\n")
        figures = {"frontier": found.plot(), "gains": found.plot_gains()}
        if found.incentives:
            triggers = found.incentives.to_frame().round(6)
            triggers.to_csv(stage / "incentives.csv", index=False, lineterminator="\n")
            figures |= {f"incentives_{model}": found.plot_incentives(model) for model in triggers["model"].unique()}
        for name, axes in figures.items():
            figure = axes.get_figure(root=True)
            assert figure is not None
            figure.savefig(stage / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)
