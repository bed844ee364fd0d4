"""``publish``: the amount table as a region publishes it."""

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
