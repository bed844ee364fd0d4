"""``check`` and ``flags``: what a data folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import DataFolder, Rule, data_folder, day_given, progress_bar, read_data, write_frame
from lakemedelsmodell.cli.printing import columns
from lakemedelsmodell.errors import UserError


@app.command(epilog=example("flags runs/small/data --conditions skane_wide --out flags.csv"))
def flags(
    data: DataFolder,
    conditions: Annotated[
        str, typer.Option(metavar="SET_OR_CSV", help="skane_narrow, skane_wide, or a list of your own.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write, .csv or .parquet.")],
    rule: Annotated[
        Rule,
        typer.Option(help="listed: every threshold of the list holds; dispensed: one dispensing is enough."),
    ] = Rule.listed,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day; else the look-back of the last half-year.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The day after the last day.")] = None,
) -> None:
    """Who carries which condition: everyone in persons, one true or false per condition."""
    if out.suffix not in (".csv", ".parquet"):
        raise UserError(f"{out} must end in .csv or .parquet.")
    first, after = day_given("--from", start), day_given("--to", end)
    from lakemedelsmodell.conditions import condition_set
    from lakemedelsmodell.data.flags import read_flags
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.data.tables import default_period

    chosen = condition_set(conditions)
    half_year = read_data(data)
    if first is None or after is None:
        lookback = Period.half_year_of(default_period(half_year)[0].start).before(12)
        first, after = first or lookback.start, after or lookback.end
    if first >= after:
        raise UserError(f"--from {first} is not before --to {after}.")
    with progress_bar() as progress:
        progress("reading the flags")
        frame = read_flags(half_year, (first, after), chosen, rule.value)
    write_frame(frame, out)
    print(
        f"{out}: {len(frame):,} persons, {len(frame.columns) - 1} conditions of {chosen.name} ({rule.value}), "
        f"{first} to {after} (exclusive)"
    )
    print(columns([(name, f"{int(frame[name].sum()):,}") for name in chosen.names], "<>"))


@app.command(epilog=example("check my_extract"))
def check(data: DataFolder) -> None:
    """Read and validate a data folder: say what is wrong, or what was found."""
    from lakemedelsmodell.data.tables import KINDS, default_period
    from lakemedelsmodell.evaluation import noticed

    half_year = read_data(data)
    period, partial = default_period(half_year)
    print(f"{data_folder(data)}: can be read.")
    print(f"  {len(half_year.centres_frame):,} centres, dispensings from {half_year.first_day} to {half_year.last_day}")
    print(f"  evaluate would pay {period}{', which is not complete' if partial else ''}")
    for sentence in half_year.found:
        print(f"  {sentence}")
    counts, warnings = noticed(half_year)
    for warning in warnings:
        print(f"  Note: {warning}")
    print("Noticed, not fatal:" if counts else "Nothing to notice.")
    print(columns([(f"  {count:,}", KINDS[kind]) for kind, count in counts.items()], "><"))
