"""What the shipped worlds and the shipped grid came to, as files beside them: worlds.results.json, grid.results.csv.

``python -m lakemedelsmodell.study.packaged FOLDER [--workers N] [--kept FOLDER]`` draws them anew and writes both. Do
it when the simulator, a model or the rule has changed on purpose; with --kept finished draws are kept there, and what
was broken off goes on. ``reports/refresh_worlds.py`` does this and makes docs/worlds.md of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from lakemedelsmodell.evaluation import Progress
from lakemedelsmodell.run import to_json
from lakemedelsmodell.simulation.scenario import load_scenario, shipped_scenarios
from lakemedelsmodell.study.grid import GridResult, read_grid, run_grid
from lakemedelsmodell.study.studies import Study, judge_replicates, study, whole
from lakemedelsmodell.verdict import read_rule

WORLDS, GRID = "worlds.results.json", "grid.results.csv"
SCHEMA_VERSION = 1
SCALE = 0.1
REPLICATES = 8
NEWCOMERS = "chronic_newcomers"
"""In the proposal's place in the clause on groups: whether an amount for newcomers mends what fails there."""
MEASURES = ("sd", "r2", "pass_through", "rmse_to_ideal", "true_sd", "log_sd_ratio", "ci_low", "ci_high",
            "beyond_random", "rmse_change", "pass_through_change")
"""What is kept of each model, with all that it is paired with."""


def draw_worlds(*, workers: int = 2, kept: Path | None = None, progress: Progress) -> dict[str, Any]:
    """Content of worlds.results.json: every shipped world, its verdict clause by clause, and what it rests on."""
    found: dict[str, Any] = {}
    for name in shipped_scenarios():
        done = study([load_scenario(name)], replicates=REPLICATES, scale=SCALE, workers=workers,
                     kept=kept, progress=progress)
        found[name] = _short(done, name)
    return {"schema": SCHEMA_VERSION, "rule": read_rule().model_dump(mode="json"), "worlds": found}


def _short(done: Study, name: str) -> dict[str, Any]:
    world: dict[str, Any] = done.to_dict()["worlds"][name]
    rule = done.rule.model_copy(update={"groups": done.rule.groups.model_copy(update={"model": NEWCOMERS})})
    world["newcomers"] = next(asdict(c) for c in judge_replicates(rule, done.replicates[name]).clauses
                              if c.name == "groups")
    world["measures"] = {
        model: {measure: {part: float(f"{number:.6g}") for part, number in of.items()}
                for measure, of in measures.items() if measure.partition(".")[0] in MEASURES}
        for model, measures in world["measures"].items()}
    return world


def packaged_worlds() -> pd.DataFrame:
    """The verdict on every shipped world, one row per clause.

    Columns world, title_sv, title_en, scale, seed (the first), replicates, rule, decision (for, against, undecided),
    clause, says, number, threshold (nan: none), holds (True, False, None: not yet known), detail, unit, group,
    further_from.
    """
    content = _worlds()
    rows = [
        {"world": name, "title_sv": world["title"]["sv"], "title_en": world["title"]["en"], "scale": world["scale"],
         "seed": world["seeds"][0], "replicates": len(world["seeds"]), "rule": world["verdict"]["rule"],
         "decision": world["verdict"]["decision"], "clause": clause.pop("name"), **clause}
        for name, world in content["worlds"].items() for clause in world["verdict"]["clauses"]]
    frame = pd.DataFrame(rows).astype({"number": float, "threshold": float})
    return frame.assign(holds=frame["holds"].astype(object).where(frame["holds"].notna(), None))


def packaged_newcomers() -> pd.DataFrame:
    """The clause on groups with ``chronic_newcomers`` in the proposal's place, one row per world.

    Columns world, number, threshold, holds, group, further_from (cost or need).
    """
    columns = ("number", "threshold", "holds", "group", "further_from")
    return pd.DataFrame([(name, *(world["newcomers"][c] for c in columns))
                         for name, world in _worlds()["worlds"].items() if "newcomers" in world],
                        columns=["world", *columns])


def packaged_measures() -> pd.DataFrame:
    """What the verdicts rest on: world, model, measure, value (mean over draws), mcse (its Monte-Carlo standard error).

    Money in SEK per listed month; what is paired is named ``measure.against``.
    """
    rows = [(name, model, measure, of["mean"], of["mcse"]) for name, world in _worlds()["worlds"].items()
            for model, measures in world["measures"].items() for measure, of in measures.items()]
    return pd.DataFrame(rows, columns=["world", "model", "measure", "value", "mcse"]).astype(
        {"value": float, "mcse": float})


def packaged_grid() -> GridResult:
    """What the shipped grid came to: ``table``, ``flips()`` and ``along()`` are frames, ``plot_map()`` the map."""
    with _shipped(GRID).open(encoding="utf-8") as file:
        return GridResult(read_grid(), pd.read_csv(file).fillna({"varied": ""}))


def _worlds() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_shipped(WORLDS).read_text(encoding="utf-8"))
    return content


def _shipped(name: str) -> Any:
    return resources.files("lakemedelsmodell.simulations").joinpath(name)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m lakemedelsmodell.study.packaged", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--kept", type=Path)
    given = options.parse_args()

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    how: dict[str, Any] = {"workers": given.workers, "kept": given.kept, "progress": say}
    whole(given.folder / WORLDS, to_json(draw_worlds(**how)))
    mapped = run_grid(read_grid(), scale=SCALE, **how)
    whole(given.folder / GRID, mapped.table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


if __name__ == "__main__":
    main()
