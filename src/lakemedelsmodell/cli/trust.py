"""``reproduce`` and ``anonymise-check``: whether a run is what it says, and whether it may be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import progress_bar, reporter

SHOWN = 20


@app.command(epilog=example("reproduce runs/small"))
def reproduce(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of simulate or evaluate.")],
    out: Annotated[Path | None, typer.Option(help="Keep the new run here; else only the comparison is kept.")] = None,
) -> None:
    """Run a run again from its manifest and compare: 0 the same, 1 different, 2 it cannot be run.

    The same versions must give the same bytes, time and place aside; other versions the same numbers to 1e-9.
    """
    from lakemedelsmodell.reproduce import reproduce as again

    with progress_bar() as progress:
        found = again(run, out=out, report=reporter(False), progress=progress)
    for name, (then, now) in found.versions.items():
        print(f"{name}: {then or 'absent'} then, {now or 'absent'} now")
    for what in found.changed:
        print(f"Input: {what}")
    for difference in found.differences[:SHOWN]:
        print(difference)
    if len(found.differences) > SHOWN:
        print(f"… and {len(found.differences) - SHOWN:,} more")
    for name in found.unlike:
        print(f"{name}: other bytes, as other versions may write them; not compared")
    if not found.same:
        print(f"{run}: {'not run again, its input is another' if found.changed else 'different'}.")
        raise typer.Exit(1)
    alike = "the same numbers" if found.versions else "the same bytes"
    print(f"{run}: the same. {found.files - len(found.unlike)} files, {alike}.")


@app.command("anonymise-check", epilog=example("anonymise-check runs/small"))
def anonymise_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What somebody else is to be given.")],
) -> None:
    """Say whether a folder may be handed on: 0 nothing was found, 1 it holds persons or cells of fewer than five.

    Names each file with rows of persons (data/, truth/, cohort files), small counts or what could be a personal number.
    """
    from lakemedelsmodell.privacy import check_anonymity

    found = check_anonymity(folder)
    for problem in found:
        print(problem)
    if found:
        files = len({problem.file for problem in found})
        print(f"{folder}: not to be handed on as it is. Files to look at: {files}.")
        raise typer.Exit(1)
    print(f"{folder}: nothing of single persons was found. Whether it may be handed on remains yours to decide.")
