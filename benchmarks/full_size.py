"""What a full-size run costs and where the time goes, against a bare floor measured in the same run.

    python benchmarks/full_size.py [--scale 1.0] [--out FOLDER]

The floor does what no run can do without, and nothing else: draw as many random numbers as there are
dispensings, write and read the same Parquet columns once, and one group-by over them in bare DuckDB.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq

from lakemedelsmodell.report import write_reports
from lakemedelsmodell.run import simulate_run
from lakemedelsmodell.simulation import load_scenario


class Stages:
    """A progress callback that keeps the time: a stage lasts until the next begins."""

    def __init__(self) -> None:
        self.began: list[tuple[str, float]] = []

    def __call__(self, what: str) -> None:
        stage = re.sub(r" centre \d+ of \d+$", " and writing the data", what)
        if not self.began or self.began[-1][0] != stage:
            self.began.append((stage, time.perf_counter()))

    def seconds(self) -> list[tuple[str, float]]:
        ends = [t for _, t in self.began[1:]] + [time.perf_counter()]
        return [(what, end - start) for (what, start), end in zip(self.began, ends, strict=True)]


def floor(dispensings: Path) -> list[tuple[str, float]]:
    """Seconds for the bare parts of the work on the same rows."""
    found = []

    def timed(what: str, start: float) -> None:
        found.append((what, time.perf_counter() - start))

    n = pq.ParquetFile(dispensings).metadata.num_rows
    start = time.perf_counter()
    np.random.default_rng(1).random(n)
    timed(f"draw {n:,} uniform numbers", start)
    start = time.perf_counter()
    rows = pq.read_table(dispensings)
    timed("read the dispensings as Parquet", start)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        pq.write_table(rows, Path(folder) / "again.parquet")
        timed("write them as Parquet", start)
    del rows
    start = time.perf_counter()
    duckdb.sql(f"SELECT person_id, sum(cost) FROM read_parquet('{dispensings}') GROUP BY person_id").fetchnumpy()
    timed("cost per person in bare DuckDB", start)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--out", type=Path, help="keep the run folder here")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch) / "run"
        stages = Stages()
        run = simulate_run(load_scenario("skane_2026h1"), out=out, scale=given.scale, report=write_reports,
                           progress=stages)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        bare = floor(out / "data" / "dispensings.parquet")
    whole = sum(s for _, s in bare)
    totals = run.results["totals"]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; scale {given.scale}: "
          f"{totals['persons']:,} persons, {totals['centres']} centres, {totals['dispensings']:,} dispensings")
    print("\n| stage | seconds |\n|---|---:|")
    for what, seconds in stages.seconds():
        print(f"| {what} | {seconds:.1f} |")
    print(f"| **whole run** | **{run.seconds:.1f}** |")
    print(f"| peak memory, GiB | {peak:.2f} |")
    print("\n| bare floor | seconds |\n|---|---:|")
    for what, seconds in bare:
        print(f"| {what} | {seconds:.1f} |")
    print(f"| **floor** | **{whole:.1f}** |")
    print(f"\nThe run takes {run.seconds / whole:.1f} times the floor.")


if __name__ == "__main__":
    main()
