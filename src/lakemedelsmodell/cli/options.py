"""What calls have in common: options, where data and amounts lie, the progress bar."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakemedelsmodell.errors import UserError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from lakemedelsmodell.amounts import AmountTable
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.evaluation import Progress
    from lakemedelsmodell.run import Report


class Format(StrEnum):
    text = "text"
    csv = "csv"
    json = "json"


class Lang(StrEnum):
    sv = "sv"
    en = "en"
    both = "both"


class OneLang(StrEnum):
    sv = "sv"
    en = "en"


class Rule(StrEnum):
    listed = "listed"
    dispensed = "dispensed"


class Reduce(StrEnum):
    cohort = "cohort"
    totals = "totals"


EXPLAINED = ("age_sex", "chronic", "chronic_defended")
"""Models that ``explain`` shows beside today's amount unless another is named."""

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Folder with the four tables, or a run folder.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write; an earlier run there is replaced.")]
Langs = Annotated[Lang, typer.Option(help="Language of the report.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave the HTML report out.")]


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr while it is a terminal; silence where it is a file or a pipe.

    A message that ends in "12 of 180" fills the bar that far; any other lets it run.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    parts = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(what: str) -> None:
            counted = re.search(r"(\d+) of (\d+)$", what)
            done, total = map(int, counted.groups()) if counted else (0, None)
            bar.update(task, description=what, completed=done, total=total)

        yield report


def languages(lang: Lang) -> tuple[str, ...]:
    return ("sv", "en") if lang is Lang.both else (lang.value,)


def data_folder(path: Path) -> Path:
    from lakemedelsmodell.data.files import tables_folder

    return tables_folder(path)


def read_data(path: Path) -> HalfYear:
    from lakemedelsmodell.data.files import read_half_year

    with progress_bar() as progress:
        return read_half_year(data_folder(path), progress=progress)


def reporter(no_report: bool) -> Report | None:
    if no_report:
        return None
    from lakemedelsmodell.report import write_reports

    return write_reports


def day_given(option: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text} is not a date. Write it as 2025-01-31.") from None


def amount_tables(file: Path | None, model: str | None) -> list[AmountTable]:
    """Today's published table first, then the models people ask about, or the one asked for."""
    from lakemedelsmodell import facts
    from lakemedelsmodell.amounts import models_in, published_table, read_amounts

    source = file or Path(facts.__file__).with_name("reference_amounts.csv")
    today = published_table(max(facts.published_years()))
    names = [name for name in models_in(source) if name != today.model]
    if model is not None and model not in (today.model, *names):
        raise unknown_name("model", model, [today.model, *names])
    shown = [model] if model else [name for name in EXPLAINED if name in names] or names
    return [today, *(read_amounts(source, name) for name in shown if name != today.model)]


@contextmanager
def written_file(out: Path) -> Iterator[Path]:
    """A file to write into that becomes ``out`` when all went well, and vanishes otherwise."""
    if out.is_dir():
        raise UserError(f"{out} is a folder. Name a file with --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def write_frame(frame: pd.DataFrame, out: Path) -> None:
    """Written whole or not at all; booleans in CSV are true and false."""
    with written_file(out) as part:
        part.touch(mode=0o600)  # it may be of persons
        if out.suffix == ".parquet":
            frame.to_parquet(part, index=False)
        else:
            import pyarrow
            from pyarrow import csv

            csv.write_csv(pyarrow.Table.from_pandas(frame, preserve_index=False), part)
