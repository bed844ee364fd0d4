"""What share of the manipulating centres an audit finds, over draws of the default world.

    python benchmarks/detection.py [FILE] [--scale 0.1] [--seeds 10]

In each draw a tenth of the centres plays one of three acts on a share (the effort) of those eligible: a starter pack
for persons who never had lipid-lowering drugs; all the defended rule asks of them; or the packs that users of asthma
drugs lack of the rule. Writes one row per act and effort, means over draws with their Monte-Carlo standard errors, by
default into simulations/detection.power.csv. About ten minutes of two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from lakemedelsmodell.conditions import condition_set
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.manipulation.audit import windows
from lakemedelsmodell.manipulation.planting import Plant, StarterPacks, TopUps, first_half, power_curve
from lakemedelsmodell.simulation import simulate

TABLE = Path(__file__).resolve().parents[1] / "simulations" / "detection.power.csv"
WIDE = condition_set("skane_wide")
EFFORTS = {"starter pack": (0.0, 0.02, 0.05, 0.1), "whole series": (0.05, 0.1, 0.3), "top-up": (0.3, 0.6, 1.0)}
MEASURES = ("power", "by_change", "by_stopping", "by_bunching", "cells_false", "false_share")


def of_draw(seed: int, scale: float) -> pd.DataFrame:
    """Power by act and effort in one draw."""
    tables = simulate(seed=seed, scale=scale).tables()
    seen = HalfYear.from_frames(**tables).months_seen
    after = windows(seen).after
    plants: dict[str, tuple[str, Plant]] = {
        "starter pack": ("lipid", StarterPacks(WIDE, ("lipid",), first_half(seen), seed=seed)),
        "whole series": ("lipid", StarterPacks(WIDE, ("lipid",), first_half(seen), rule="listed", seed=seed)),
        "top-up": ("astma", TopUps(WIDE, ("astma",), (after.start, after.end), seed=seed))}
    return pd.concat([power_curve(tables, plant, [group], EFFORTS[act], WIDE, seed=seed).to_frame().assign(
        act=act, condition=group, seed=seed) for act, (group, plant) in plants.items()])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("file", nargs="?", type=Path, default=TABLE)
    asked.add_argument("--scale", type=float, default=0.1)
    asked.add_argument("--seeds", type=int, default=10)
    given = asked.parse_args()
    draws = pd.concat(Parallel(n_jobs=2)(delayed(of_draw)(seed, given.scale) for seed in range(1, given.seeds + 1)))
    by = draws.groupby(["act", "condition", "effort"], sort=False)[list(MEASURES)]
    mean, error = by.mean(), by.std(ddof=1) / np.sqrt(given.seeds)
    table = mean.join(error.add_suffix("_se")).reset_index().assign(draws=given.seeds, scale=given.scale)
    table.round(4).to_csv(given.file, index=False, lineterminator="\n")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
