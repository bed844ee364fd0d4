"""``simulate`` and ``evaluate``: a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import (
    Lang,
    Langs,
    NoReport,
    Out,
    Reduce,
    data_folder,
    languages,
    progress_bar,
    reporter,
)
from lakemedelsmodell.cli.printing import summary
from lakemedelsmodell.errors import UserError

if TYPE_CHECKING:
    from lakemedelsmodell.run import RunResult


@app.command(epilog=example("simulate --scale 0.05 --out runs/small"))
def simulate(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="Name of a shipped world, or a file.")
    ] = "skane_2026h1",
    seed: Annotated[int | None, typer.Option(help="Another draw of the same world.", min=0)] = None,
    scale: Annotated[float, typer.Option(help="Share of the persons per centre, above 0.")] = 1.0,
    centres: Annotated[int | None, typer.Option(help="Fewer centres.", min=1)] = None,
    out: Out = None,
    lang: Langs = Lang.both,
    no_report: NoReport = False,
) -> None:
    """Simulate a region, pay its centres under each model and report how far apart they end up.

    Writes a run folder (runs/SCENARIO unless --out says otherwise): the data, the truth behind
    them, results.json, centres.csv, amounts.csv, manifest.json and the report in Swedish and English.
    """
    from lakemedelsmodell.run import simulate_run
    from lakemedelsmodell.simulation.scenario import load_scenario

    world = load_scenario(scenario)
    with progress_bar() as progress:
        result = simulate_run(
            world,
            out=out,
            seed=seed,
            scale=scale,
            centres=centres,
            langs=languages(lang),
            report=reporter(no_report),
            progress=progress,
        )
    _print_summary(result)


@app.command(epilog=example("evaluate runs/small/data --out runs/small_again"))
def evaluate(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Folder with the four tables, or a run folder.")
    ] = None,
    cohort: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A reduced table instead: one row per person and centre, CSV or Parquet."),
    ] = None,
    totals: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sums per centre instead: one row per centre, CSV, Parquet or XLSX."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database instead, counted where it lies: duckdb:///FILE, "
                     "postgres://USER@HOST/DATABASE, mssql://…, spark."),
    ] = None,
    reduce: Annotated[
        Reduce, typer.Option(help="What comes back from --source: the cohort, or only sums per centre.")
    ] = Reduce.cohort,
    manipulation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What manipulate found on the same DATA, for the verdict: folder or file."),
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="Months to pay, such as 2026-01..2026-02; else the last half-year.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings that differ from the defaults.")
    ] = None,
    out: Out = None,
    lang: Langs = Lang.both,
    no_report: NoReport = False,
) -> None:
    """The same on files of your own: what each centre gets and pays under each model."""
    if sum(given is not None for given in (data, cohort, totals, source)) != 1:
        raise UserError("Give one of a DATA folder, --cohort FILE, --totals FILE and --source URL.")
    if reduce is not Reduce.cohort and source is None:
        raise UserError("--reduce goes with --source.")
    if data is None and manipulation is not None:
        raise UserError("--manipulation goes with DATA.")
    if data is None and source is None and period is not None:
        raise UserError("--period goes with DATA or --source; a file of persons or sums holds one period already.")
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.run import (
        evaluate_cohort_run,
        evaluate_run,
        evaluate_source_run,
        evaluate_totals_run,
        read_settings,
    )

    chosen = read_settings(settings)
    if period is not None:
        chosen = chosen.model_copy(update={"period": str(Period.parse(period))})
    langs, report = languages(lang), reporter(no_report)
    with progress_bar() as progress:
        if data is not None:
            result = evaluate_run(
                data_folder(data), manipulation=manipulation, out=out, settings=chosen, langs=langs, report=report,
                progress=progress
            )
        elif source is not None:
            result = evaluate_source_run(
                source, reduce=reduce.value, out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
        elif cohort is not None:
            result = evaluate_cohort_run(
                cohort, out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
        elif totals is not None:
            result = evaluate_totals_run(
                totals, out=out, settings=chosen, langs=langs, report=report, progress=progress
            )
    _print_summary(result)


def _print_summary(result: RunResult) -> None:
    print(summary(result.results), end="\n\n")
    reports = sorted(result.folder.glob("report.*.html"))
    for report in reports:
        print(f"Report: {report}")
    for page in sorted(result.folder.glob("page.*.html")):
        print(f"Page: {page}")
    print(f"{'Tables' if reports else 'Results'}: {result.folder}  ({result.seconds:.0f} s)")
