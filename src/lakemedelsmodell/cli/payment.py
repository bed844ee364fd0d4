"""``pay`` and ``sql``: the monthly payment, here or in the data warehouse."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import DataFolder, Lang, Langs, data_folder, languages, progress_bar, written_file
from lakemedelsmodell.errors import UserError


class Months(StrEnum):
    snapshot = "snapshot"
    days = "days"


class Dialect(StrEnum):
    tsql = "tsql"
    postgres = "postgres"
    spark = "spark"
    duckdb = "duckdb"


Amounts = Annotated[Path, typer.Argument(metavar="AMOUNTS.csv", help="Frozen amounts: amounts.csv of a run folder.")]
Month = Annotated[str, typer.Option(metavar="YYYY-MM", help="The month to pay.")]
Model = Annotated[str, typer.Option(help="Which model of the file.")]
Conditions = Annotated[
    str | None, typer.Option(metavar="LIST.csv", help="The condition list, where it is one of your own.")
]
HowMonths = Annotated[
    Months, typer.Option("--months", help="Whole months of whom a centre lists on the 1st, or days ÷ days.")
]


@app.command(epilog=example("pay runs/small/amounts.csv runs/small --month 2026-06 --out payments/2026-06"))
def pay(
    amounts: Amounts,
    data: DataFolder,
    month: Month,
    out: Annotated[Path, typer.Option(help="Folder to write; another payment there is never replaced.")],
    model: Model = "chronic",
    months: HowMonths = Months.snapshot,
    conditions: Conditions = None,
    previous: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Earlier payment: of the same month, to see corrections; of the month before, to see changes.",
        ),
    ] = None,
    lang: Langs = Lang.both,
) -> None:
    """What each centre is paid for one month, in öre, and why it differs from last month."""
    from lakemedelsmodell.payment import payment_run

    with progress_bar() as progress:
        done = payment_run(
            amounts, data_folder(data), first_of(month), out, model=model, conditions=conditions,
            months=months.value, previous=previous or (), langs=languages(lang), progress=progress,
        )  # fmt: skip
    totals = done.results["totals"]
    print(f"{month}: {totals['centres']} centres, {totals['persons']} listed, {totals['payment_sek']} SEK by {model}")
    if (differences := done.results["differences"]) is not None:
        print(f"Differs from what was paid at {differences['centres']} centres, "
              f"{differences['difference_ore'] / 100:+.2f} SEK in all")
    for warning in done.results["warnings"]:
        print(f"note: {warning}")
    print(f"{'Payment' if done.written else 'The same payment was there already'}: {out}")


@app.command(epilog=example("sql runs/small/amounts.csv --dialect tsql --month 2027-01 --out payment.sql"))
def sql(
    amounts: Amounts,
    dialect: Annotated[Dialect, typer.Option(help="What the warehouse speaks.")],
    month: Month,
    model: Model = "chronic",
    months: HowMonths = Months.snapshot,
    conditions: Conditions = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.sql", help="Where to write it; else it is printed.")] = None,
) -> None:
    """The same payment as one commented SQL script for the data warehouse: nothing else is needed there."""
    from lakemedelsmodell.amounts import read_amounts
    from lakemedelsmodell.payment import payment_sql
    from lakemedelsmodell.payment.month import conditions_of

    table = read_amounts(amounts, model)
    script = payment_sql(table, first_of(month), dialect.value, conditions_of(table, conditions), months.value)
    if out is None:
        print(script, end="")
        return
    with written_file(out) as part:
        part.write_text(script, encoding="utf-8")
    print(out)


def first_of(month: str) -> date:
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month, re.ASCII) and 1900 < int(month[:4]) < 2200:
        return date.fromisoformat(f"{month}-01")
    raise UserError(f"--month {month} is not a month. Write it as 2027-01.")
