"""One run of the default world gives the results that lie beside it in simulations/, at two sizes."""

from pathlib import Path

import pandas as pd
import pytest

import lakemedelsmodell as lm

EXPECTED = pd.read_csv(Path(__file__).resolve().parents[2] / "simulations" / "skane_2026h1.expected.csv")


def found(scale: float, seed: int) -> pd.Series:
    """Value by (model, measure) of one run; a contrast is the measure ``log_sd_ratio:<against>``."""
    results = lm.evaluate(lm.simulate("skane_2026h1", scale=scale, seed=seed).half_year()).results
    values = {(name, measure): value for name, m in results["models"].items()
              for measure, value in {"phi": m["phi"], "noise_floor": m["noise_floor"], "true_sd": m["true_sd"],
                                     **m["fit"], **m["spread"]}.items()}
    values |= {(c["model"], f"log_sd_ratio:{c['against']}"): c["log_sd_ratio"] for c in results["contrasts"]}
    values |= {("run", measure): results["totals"][measure] for measure in ("persons", "dispensings", "cost_sek")}
    return pd.Series(values)


def agree(scale: float) -> None:
    rows = EXPECTED[EXPECTED["scale"] == scale]
    assert len(rows) >= 20
    (seed,) = rows["seed"].unique()
    values = found(scale, int(seed))
    off = [(r.model, r.measure, r.value, values[r.model, r.measure]) for r in rows.itertuples()
           if not abs(values[r.model, r.measure] - r.value) <= r.tolerance]
    assert not off


def test_a_twentieth_of_the_region():
    agree(0.05)


@pytest.mark.slow
def test_the_whole_region():
    agree(1.0)
