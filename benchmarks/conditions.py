"""Who holds which of 46 conditions in eight million dispensings: ours beside what an analyst would write or take.

    python benchmarks/conditions.py [--rows 8000000] [--conditions 46] [--tries 3]

The rule is the plain one, dispensed at all in the window. Ours reads its rows from disk, as it always does, nets
corrections, resolves ladders and finds the flags under the rule with thresholds, too; the others get their rows in
memory and do nothing of it, which favours them. Every way runs in a process of its own that has read its rows before
the clock starts (ours: checked the files and laid them by person); best of the tries. polars,
pycomorb and R's data.table are used where they are installed and named where they are not. All must find the same.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WINDOW = (datetime.date(2025, 1, 1), datetime.date(2026, 1, 1))
PERSONS = 1_400_000
R_CODE = """
suppressMessages(library(data.table)); setDTthreads(%d)
d <- fread("%s", colClasses = c("integer", "character")); m <- fread("%s")
best <- Inf; cpu <- 0
for (i in 1:%d) {
  p0 <- proc.time()
  w <- dcast(unique(m[d, on = "atc", nomatch = NULL, allow.cartesian = TRUE][, .(person_id, condition)]),
             person_id ~ condition, fun.aggregate = length, value.var = "condition")
  p <- proc.time() - p0
  if (p[["elapsed"]] < best) { best <- p[["elapsed"]]; cpu <- p[["user.self"]] + p[["sys.self"]] }
}
cat(best, cpu, sum(as.matrix(w[, -1])), "\\n")
"""
Found = tuple[float, float, int]
"""Seconds, CPU seconds and number of flags."""


def conditions_of(number: int) -> Any:
    """So many of the packaged drug groups; single parts of the last one where there are not enough."""
    from lakemedelsmodell import facts
    from lakemedelsmodell.conditions import Condition, ConditionSet

    found = [Condition(g.drug_group, include=g.atc_include, exclude=g.atc_exclude) for g in facts.drug_groups()]
    parts = [Condition(f"part_{atc}", include=(atc,)) for c in found[::-1] for atc in c.include if len(c.include) > 1]
    return ConditionSet(f"{number} drug groups", tuple((found + parts)[:number]))


def write_data(folder: Path, rows: int) -> None:
    """A folder of four tables: codes as common as the packaged substances, persons' numbers of rows very unequal."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lakemedelsmodell import facts

    draw = np.random.default_rng(1)
    codes = facts.substances()["atc"].to_numpy(dtype=str)
    share = 1 / np.arange(1, len(codes) + 1) ** 0.8
    person = np.minimum((PERSONS * draw.random(rows) ** 2).astype(np.int64), PERSONS - 1)
    code = draw.permutation(len(codes))[draw.choice(len(codes), rows, p=share / share.sum())]
    day = np.datetime64("2025-01-01") + draw.integers(0, 365, rows)
    pq.write_table(pa.table({
        "person_id": person, "date": pa.array(day.astype("datetime64[D]")),
        "atc": pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), pa.array(codes)),
        "packages": np.ones(rows), "ddd": np.full(rows, 90.0), "cost": np.full(rows, 100.0)}),
        folder / "dispensings.parquet")
    everyone = np.arange(PERSONS)
    pq.write_table(pa.table({"person_id": everyone, "sex": np.where(everyone % 2, "K", "M"),
                             "birth_month": np.full(PERSONS, "1960-05")}), folder / "persons.parquet")
    pq.write_table(pa.table({"person_id": everyone, "centre_id": np.full(PERSONS, "A"),
                             "start_date": np.full(PERSONS, np.datetime64("2020-01-01")),
                             "end_date": pa.nulls(PERSONS, pa.date32())}), folder / "listings.parquet")
    pq.write_table(pa.table({"centre_id": ["A"], "name": ["A"]}), folder / "centres.parquet")


def best_of(tries: int, once: Callable[[], int]) -> Found:
    found = []
    for _ in range(tries):
        clock, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        flags = once()
        now = resource.getrusage(resource.RUSAGE_SELF)
        found.append((time.perf_counter() - clock,
                      now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, flags))
    return min(found)


def pairs(number: int) -> Any:
    """Code and condition, a row for each that go together."""
    from lakemedelsmodell import facts

    return conditions_of(number).expand(facts.substances()["atc"])


def ours(folder: Path, number: int, tries: int) -> Found:
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.data.flags import read_flags

    half_year, chosen = read_half_year(folder), conditions_of(number)

    def once() -> int:
        half_year.flags_read.clear()
        return int(read_flags(half_year, WINDOW, chosen, "dispensed").iloc[:, 1:].to_numpy().sum())

    return best_of(tries, once)


def polars_by_hand(folder: Path, number: int, tries: int) -> Found:
    import polars as pl

    rows = pl.read_parquet(folder / "dispensings.parquet", columns=["person_id", "atc"]).with_columns(
        pl.col("atc").cast(pl.String))
    found = pairs(number)
    names = list(dict.fromkeys(found["condition"]))
    bits = pl.DataFrame({"atc": found["atc"].to_list(), "mask": [1 << names.index(c) for c in found["condition"]]})
    masks = bits.group_by("atc").agg(pl.col("mask").sum())

    def once() -> int:
        by_person = rows.join(masks, on="atc").group_by("person_id").agg(pl.col("mask").bitwise_or())
        wide = by_person.select("person_id", *((pl.col("mask") & (1 << i) != 0).alias(c) for i, c in enumerate(names)))
        return int(wide.select(pl.sum_horizontal(pl.col(names).sum())).item())

    return best_of(tries, once)


def pandas_by_hand(folder: Path, number: int, tries: int) -> Found:
    import pandas as pd

    rows = pd.read_parquet(folder / "dispensings.parquet", columns=["person_id", "atc"])
    codes = {name: set(part) for name, part in pairs(number).groupby("condition")["atc"]}

    def once() -> int:
        held = pd.DataFrame({name: rows["atc"].isin(part) for name, part in codes.items()})
        return int(held.groupby(rows["person_id"].to_numpy()).any().to_numpy().sum())

    return best_of(tries, once)


def pycomorb(folder: Path, number: int, tries: int) -> Found:
    import polars as pl
    from pycomorb import CustomComorbidityIndex

    rows = pl.read_parquet(folder / "dispensings.parquet", columns=["person_id", "atc"]).with_columns(
        pl.col("atc").cast(pl.String))
    found = pairs(number)
    codes = {name: "|".join(part) for name, part in found.groupby("condition")["atc"]}
    definitions = pl.DataFrame({"category": list(codes), "icd10_codes": list(codes.values()),
                                "weight": [1] * len(codes)})
    names = list(codes)

    def once() -> int:
        wide = CustomComorbidityIndex(rows, id_col="person_id", code_col="atc", definition_data=definitions,
                                      weight_col_name="weight", score_col_name="score", return_categories=True)
        return int(wide.select(pl.sum_horizontal(pl.col(names).cast(pl.Int64).sum())).item())

    return best_of(tries, once)


def data_table(folder: Path, number: int, tries: int) -> Found:
    import pandas as pd

    rows = pd.read_parquet(folder / "dispensings.parquet", columns=["person_id", "atc"])
    rows.to_csv(folder / "rows.csv", index=False)
    pairs(number)[["atc", "condition"]].to_csv(folder / "pairs.csv", index=False)
    code = R_CODE % (os.cpu_count(), folder / "rows.csv", folder / "pairs.csv", tries)
    said = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), float(said[1]), int(said[2])


def there(name: str) -> bool:
    if name == "R data.table":
        return bool(shutil.which("Rscript")) and not subprocess.run(
            ["Rscript", "-e", "library(data.table)"], capture_output=True).returncode
    return importlib.util.find_spec(name.split(",")[0]) is not None


WAYS: dict[str, Callable[[Path, int, int], Found]] = {
    "lakemedelsmodell, from Parquet": ours, "polars, by hand: a mask per code": polars_by_hand,
    "pycomorb": pycomorb, "R data.table": data_table, "pandas, isin per condition": pandas_by_hand}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=8_000_000)
    options.add_argument("--conditions", type=int, default=46)
    options.add_argument("--tries", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_data(folder, given.rows)
        print(f"{given.rows:,} rows, {given.conditions} conditions, load {os.getloadavg()[0]:.1f}\n")
        print("| way | seconds | CPU s | flags |\n|---|---:|---:|---:|")
        for name, way in WAYS.items():
            if not there(name):
                print(f"| {name} | not installed | | |")
                continue
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, cpu, flags = pool.apply(way, (folder, given.conditions, given.tries))
            print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {flags:,} |", flush=True)


if __name__ == "__main__":
    main()
