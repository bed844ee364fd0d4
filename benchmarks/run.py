"""What a run costs, against a bare floor measured in the same run; rewrites its part of docs/benchmark.md.

    python benchmarks/run.py [--scale 1.0] [--also 0.25] [--print-only]

Each step runs in a process of its own, so that its CPU seconds and peak memory are its own. The floor does what no run
can do without, and nothing else: draw as many random numbers as there are dispensings, write and read the same Parquet
columns once, and one group-by over them in bare DuckDB. Ratios are of CPU seconds, which a busy machine moves least.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "benchmark.md"
BY_HAND, NEXT_PART = "## What the time goes to", "# What a replicate of a study costs"
WORLD = "skane_2026h1"


@dataclass
class Cost:
    """Wall-clock and CPU seconds, peak memory of the process in GiB, and what the step tells besides."""

    wall: float
    cpu: float
    peak: float
    told: Any = None


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), cpu_seconds()

    def cost(self, told: Any = None) -> Cost:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return Cost(time.perf_counter() - self.wall, cpu_seconds() - self.cpu, peak, told)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def simulate(folder: Path, scale: float) -> Cost:
    from lakemedelsmodell.simulation import load_scenario
    from lakemedelsmodell.simulation.drawing import simulate

    clock = Clock()
    simulate(load_scenario(WORLD), scale=scale).write(folder / "data", folder / "truth")
    return clock.cost(sum(part.stat().st_size for part in (folder / "data").iterdir()) / 2**30)


def evaluate(folder: Path) -> Cost:
    """From Parquet to results; by stage, too."""
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.evaluation import Settings, evaluate

    stages: list[tuple[str, Clock, Cost]] = []
    last = [("reading and checking the files", Clock())]

    def progress(what: str) -> None:
        name, clock = last[0]
        stages.append((name, clock, clock.cost()))
        last[0] = (what, Clock())

    whole = Clock()
    half_year = read_half_year(folder / "data")
    found = evaluate(half_year, Settings(), progress=progress)
    progress("")
    totals = found.results["totals"]
    size = {name: totals[name] for name in ("persons", "centres", "dispensings")} | {"models": len(found.tables)}
    return whole.cost((size, [(name, cost.wall, cost.cpu) for name, _, cost in stages]))


def flags(folder: Path) -> Cost:
    """Everyone's flags from twelve months, under the rule with thresholds, of files that have been read."""
    from lakemedelsmodell.conditions import condition_set
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.data.flags import read_flags

    half_year = read_half_year(folder / "data")
    year = (datetime.date(2025, 1, 1), datetime.date(2026, 1, 1))
    clock = Clock()
    found = read_flags(half_year, year, condition_set("skane_wide"), "listed")
    return clock.cost(found.shape)


def settle_again(folder: Path) -> Cost:
    """A changed amount table on sums per centre that are at hand, and 2 000 BCa resamples of two models' nets."""
    import numpy as np
    import scipy.special  # noqa: F401  (part of no one's work)

    from lakemedelsmodell.amounts import published_table
    from lakemedelsmodell.data.cohort import CentreTotals
    from lakemedelsmodell.facts import N_CELLS
    from lakemedelsmodell.measures.contrasts import bca_interval
    from lakemedelsmodell.settlement import settle

    draw = np.random.default_rng(1)
    months = draw.uniform(100, 3000, (180, N_CELLS))
    totals = CentreTotals(np.arange(180), months, (), np.zeros((180, 0)), months.sum(axis=1) * 200)
    table = published_table(2026)
    clock = Clock()
    settle(table, totals, 0.8)
    settled = clock.cost()
    n1, n0 = draw.normal(size=(2, 180))
    clock = Clock()
    bca_interval(n1, n0, resamples=2000)
    return clock.cost(settled)


def floor(folder: Path) -> Cost:
    """The bare parts of the work, by name."""
    import duckdb
    import numpy as np
    import pyarrow.parquet as pq

    dispensings = folder / "data" / "dispensings.parquet"
    n = pq.ParquetFile(dispensings).metadata.num_rows
    found: dict[str, Cost] = {}
    whole = clock = Clock()
    np.random.default_rng(1).random(n)
    found["draw"], clock = clock.cost(), Clock()
    for _ in pq.ParquetFile(dispensings).iter_batches(1 << 20):  # nothing is kept, which costs more than decoding
        pass
    found["read"] = clock.cost()
    rows = pq.read_table(dispensings)
    clock = Clock()
    pq.write_table(rows, folder / "again.parquet")
    found["write"] = clock.cost()
    del rows
    (folder / "again.parquet").unlink()
    bare = f"SELECT person_id, sum(cost) FROM read_parquet('{dispensings}') GROUP BY person_id"
    clock = Clock()
    duckdb.sql(bare).fetchnumpy()
    found["group-by"] = clock.cost()
    return whole.cost(found)


def command(*arguments: str) -> float:
    """Least seconds of three tries of a command."""
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def alone(step: Callable[..., Cost], *arguments: Any) -> Cost:
    """A step in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step, arguments)


def page(sizes: dict[float, dict[str, Cost]], small: dict[str, float]) -> str:
    """The part of docs/benchmark.md that this script writes."""
    first = next(iter(sizes.values()))
    size, stages = first["evaluate"].told
    bare, settled = first["floor"].told, first["again"].told
    simulated, read = (sum(bare[part].cpu for part in parts) for parts in (("draw", "write"), ("read", "group-by")))
    rows = [
        ("simulate and write the data", first["simulate"], simulated, "25 s"),
        ("evaluate from Parquet", first["evaluate"], read, "12 s, 4 GiB"),
        ("everyone's flags over twelve months", first["flags"], bare["group-by"].cpu, "3 s, 1.5 GiB"),
    ]
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    lines = [
        "# What a run costs", "",
        "`python benchmarks/run.py` measures each step in a process of its own, beside a bare floor on the same rows:",
        "draw as many random numbers, write and read the same Parquet, one group-by in DuckDB.", "",
        f"Measured {datetime.date.today()} on {os.cpu_count()} {platform.machine()} cores, Python "
        f"{platform.python_version()}, load average {load}:",
        f"{size['persons']:,} persons, {size['centres']} centres, {size['dispensings']:,} dispensings, "
        f"{size['models']} models with amounts.",
        "Other work on the machine lengthens the clock; CPU seconds, of all cores together, move least, and two quiet",
        "cores take at least half of them.", "",
        "| step | seconds | CPU s | peak GiB | floor, CPU s | times the floor | target |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(f"| {what} | {c.wall:.1f} | {c.cpu:.1f} | {c.peak:.2f} | {f:.1f} | {c.cpu / f:.0f} | {target} |"
          for what, c, f, target in rows),
        f"| settle a changed amount table | {settled.wall:.4f} | | | | | 0.1 s |",
        f"| BCa interval, 2 000 resamples | {first['again'].wall:.2f} | | | | | 1 s |",
        *(f"| {what} | {seconds:.2f} | | | | | {target} |" for (what, seconds), target in zip(
            small.items(), ("0.5 s", "1 s"), strict=True)),
        "", "Peak memory of the flags is that of reading and checking the files, too.", "",
        "| evaluate, by stage | seconds | CPU s |", "|---|---:|---:|",
        *(f"| {what} | {wall:.1f} | {cpu:.1f} |" for what, wall, cpu in stages if cpu > 0.05),
        "", "| bare floor | seconds | CPU s |", "|---|---:|---:|",
        *(f"| {what} | {c.wall:.1f} | {c.cpu:.1f} |" for what, c in bare.items()),
        "", "| Skåne × | dispensings | data, GiB | simulate, CPU s | rows/CPU s | peak GiB | evaluate, CPU s "
        "| rows/CPU s | peak GiB |", "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for scale, costs in sorted(sizes.items()):
        n = costs["evaluate"].told[0]["dispensings"]
        lines.append(f"| {scale:g} | {n:,} | {costs['simulate'].told:.2f} | " + " | ".join(
            f"{costs[step].cpu:.1f} | {n / costs[step].cpu:,.0f} | {costs[step].peak:.2f}"
            for step in ("simulate", "evaluate")) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--also", type=float, nargs="*", default=[0.25], help="more sizes to simulate and evaluate")
    options.add_argument("--print-only", action="store_true", help="leave docs/benchmark.md as it is")
    given = options.parse_args()
    sizes: dict[float, dict[str, Cost]] = {}
    for scale in (given.scale, *given.also):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            sizes[scale] = {"simulate": alone(simulate, folder, scale), "evaluate": alone(evaluate, folder)}
            if scale == given.scale:
                sizes[scale] |= {"flags": alone(flags, folder), "again": alone(settle_again, folder),
                                 "floor": alone(floor, folder)}
    small = {"import lakemedelsmodell": command("-c", "import lakemedelsmodell"),
             "`--help`": command("-m", "lakemedelsmodell", "--help")}
    text = page(sizes, small)
    print(text)
    if not given.print_only:
        before = PAGE.read_text(encoding="utf-8")
        kept = BY_HAND if BY_HAND in before else NEXT_PART
        PAGE.write_text(text + "\n" + before[before.index(kept):], encoding="utf-8")


if __name__ == "__main__":
    main()
