"""``audit``: which centres and groups a reviewer should look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import DataFolder, Lang, Langs, Out, data_folder, languages, progress_bar
from lakemedelsmodell.cli.printing import columns, number


@app.command(epilog=example("audit runs/small --out runs/small_audit"))
def audit(
    data: DataFolder,
    conditions: Annotated[
        str, typer.Option(metavar="SET_OR_CSV", help="skane_narrow, skane_wide, or a list of your own.")
    ] = "skane_wide",
    amounts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="amounts.csv that prices what is found; else that of the reference run."),
    ] = None,
    out: Out = None,
    lang: Langs = Lang.both,
) -> None:
    """Centres and groups whose dispensings changed more than practice explains: a list for a reviewer, no verdict.

    Compares the last twelve months of the data with the twelve before. Writes audit.csv, audit.json and a page in
    Swedish and English into runs/DATA_audit unless --out says otherwise.
    """
    from lakemedelsmodell.conditions import condition_set
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.folders import written_folder
    from lakemedelsmodell.manipulation.audit import audit as audited
    from lakemedelsmodell.manipulation.audit import pricing
    from lakemedelsmodell.report.audit_page import write_audit

    chosen, priced, source = condition_set(conditions), pricing(amounts), data_folder(data)
    folder = out or Path("runs") / f"{data.resolve().name}_audit"
    with progress_bar() as progress, written_folder(folder, [source]) as stage:
        progress("reading and checking the files")
        found = audited(read_half_year(source, progress=progress), chosen, amounts=priced, progress=progress)
        progress("writing the list")
        write_audit(found, stage, languages(lang))
    shown = found.findings.head(20)
    print(
        f"{found.windows.after} against {found.windows.before}: {len(found.centres)} centres, {found.tested:,} tests, "
        f"{len(found.findings)} to look at, of which at most {found.level:.0%} are expected to be chance."
    )
    if len(shown):
        head = ("centre", "group", "test", "persons", "expected", "q")
        rows = [
            (f.name, f.condition, f.test, number(f.observed, 0), number(f.expected, 1), number(f.q, 4))
            for f in shown.itertuples()
        ]
        print(columns([head, *rows], "<<<>"))
    print(f"Audit: {folder}")
