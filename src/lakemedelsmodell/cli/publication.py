"""``publish`` and ``report``: the amount table as a region publishes it, and the report of a run written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import Lang, Langs, languages


@app.command(epilog=example("publish runs/skane_2026h1/amounts.csv --out published"))
def publish(
    amounts: Annotated[Path, typer.Argument(metavar="AMOUNTS.csv", help="amounts.csv of a run folder.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier publication there is replaced.")],
    model: Annotated[str, typer.Option(help="Which model of the file.")] = "chronic",
    lang: Langs = Lang.both,
) -> None:
    """The amount table to put in a decision: kronor by age and sex, add-ons and their rules, as HTML, PDF and XLSX."""
    from lakemedelsmodell.folders import written_folder
    from lakemedelsmodell.report.publication import publish as write

    with written_folder(out, [amounts]) as stage:
        written = write(amounts, model, stage, languages(lang))
    for path in written:
        print(out / path.name)


@app.command(epilog=example("report runs/small --out runs/small_report"))
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of simulate or evaluate.")],
    manipulation: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What manipulate wrote on RUN; else RUN_manipulated, where it lies."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; else RUN_report beside the run.")] = None,
    lang: Langs = Lang.both,
) -> None:
    """The report, the page and the workbook of a run once more, with what manipulate has found since.

    Computes nothing anew. The run folder itself stays as it is, so that reproduce still knows it.
    """
    from lakemedelsmodell.folders import written_folder
    from lakemedelsmodell.report import write_reports

    place = run.resolve()
    folder = out or place.with_name(f"{place.name}_report")
    inputs = [run / "results.json", *([manipulation] if manipulation else [])]
    with written_folder(folder, inputs) as stage:
        written = write_reports(run, languages(lang), out=stage, manipulation=manipulation)
    for path in written:
        print(folder / path.name)
