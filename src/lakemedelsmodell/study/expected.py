"""What a world is expected to give, as a table beside its file: <world>.expected.csv.

``python -m lakemedelsmodell.study.expected FOLDER [WORLD…] [--kept FOLDER]`` draws the worlds anew and writes the
tables. Do it when the simulator has changed on purpose; a test holds every draw to them. The default world's table is
of a run of it, not of a study, and is not written here. Finished draws are kept in --kept and not drawn again.
"""

from __future__ import annotations

import argparse
import sys
from importlib import resources
from pathlib import Path

import pandas as pd

from lakemedelsmodell.simulation.scenario import load_scenario, shipped_scenarios
from lakemedelsmodell.study.studies import study, summary

COLUMNS = ("scale", "seed", "replicates", "model", "measure", "value", "tolerance")
DEFAULT = "skane_2026h1"
SIZES = ((0.03, 4), (0.1, 8))
"""(scale, replicates): small for every run of the tests, large for the slow ones."""
HELD = {
    "age_sex": ("sd", "r2", "pass_through", "rmse_to_ideal"),
    "chronic": ("sd", "r2", "pass_through", "rmse_to_ideal", "log_sd_ratio.age_sex", "beyond_random.age_sex",
                "rmse_change.age_sex", "pass_through_change.age_sex"),
    "chronic_pool": ("log_sd_ratio.age_sex_pool",),
    "region": ("noise_floor", "style_sd"),
}
DECISIONS = {"against": -1.0, "undecided": 0.0, "for": 1.0}
"""How a verdict is written as a number."""
STANDARD_ERRORS = 4
SMALLEST_TOLERANCE = 1e-3


def expected(world: str, scale: float, replicates: int, *, workers: int = 2, kept: Path | None = None) -> pd.DataFrame:
    """Rows of <world>.expected.csv at one size: means over replicates with ±4 Monte-Carlo standard errors, and the
    verdict (model "verdict": −1 against, 0 undecided, 1 for; each clause 1 holds, 0 fails, empty not known)."""
    scenario = load_scenario(world)
    done = study([scenario], replicates=replicates, scale=scale, workers=workers, kept=kept)
    rows = summary(done.replicates[world]).set_index(["model", "measure"])
    found = []
    for model, measure in ((model, measure) for model, held in HELD.items() for measure in held):
        row = rows.loc[model, measure]
        found.append((model, measure, row["value"], max(STANDARD_ERRORS * row["mcse"], SMALLEST_TOLERANCE)))
    verdict = done.verdicts[world]
    found.append(("verdict", "decision", DECISIONS[verdict.decision], 0.0))
    found += [("verdict", c.name, None if c.holds is None else float(c.holds), 0.0) for c in verdict.clauses]
    frame = pd.DataFrame(found, columns=["model", "measure", "value", "tolerance"])
    return frame.assign(scale=scale, seed=scenario.seed, replicates=replicates)[list(COLUMNS)]


def read_expected(world: str) -> pd.DataFrame:
    """<world>.expected.csv, as shipped."""
    shipped = resources.files("lakemedelsmodell.simulations").joinpath(f"{world}.expected.csv")
    with shipped.open(encoding="utf-8") as file:
        return pd.read_csv(file)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m lakemedelsmodell.study.expected", description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("worlds", nargs="*")
    options.add_argument("--kept", type=Path)
    given = options.parse_args()
    for world in given.worlds or (w for w in shipped_scenarios() if w != DEFAULT):
        print(world, file=sys.stderr, flush=True)
        frame = pd.concat([expected(world, scale, replicates, kept=given.kept) for scale, replicates in SIZES])
        frame.to_csv(given.folder / f"{world}.expected.csv", index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
