"""``study``: worlds drawn many times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import progress_bar
from lakemedelsmodell.cli.printing import columns, number

if TYPE_CHECKING:
    import pandas as pd


@app.command(epilog=example("study random_lists style_creates_flags --scale 0.05 --replicates 4 --out runs/worlds"))
def study(
    worlds: Annotated[
        list[str] | None, typer.Argument(metavar="WORLD…", help="Names of shipped worlds, or files.")
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(help="Draws of each world (else 10) and point of the grid (else as its file says).", min=1),
    ] = None,
    workers: Annotated[int, typer.Option(help="Draws at a time; the result is the same with any number.", min=1)] = 2,
    scale: Annotated[float, typer.Option(help="Share of the persons per centre, above 0.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Folder to write; an earlier study there is gone on with.")] = None,
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Vary a world's parameters: where does the sign flip?")
    ] = None,
    rule: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Rule of the verdict; else the packaged one.")
    ] = None,
    manipulation: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What manipulate found in one of the worlds, for the verdict: its folder or "
                     "file. Once per world."),
    ] = None,
) -> None:
    """Draw worlds many times, on the same random numbers, and judge the proposal in each by a rule fixed beforehand.

    Writes study.json, study.csv and figures (with --grid also grid.csv and flips.csv) into runs/study unless --out
    says otherwise. A study broken off goes on where it stopped.
    """
    from lakemedelsmodell.simulation.scenario import load_scenario
    from lakemedelsmodell.study import read_grid, read_rule, study_run

    scenarios = [load_scenario(name) for name in worlds or ()]
    chosen, grid_read = read_rule(rule), None if grid is None else read_grid(grid)
    with progress_bar() as progress:
        done = study_run(
            scenarios,
            grid=grid_read,
            out=out,
            replicates=replicates,
            workers=workers,
            scale=scale,
            rule=chosen,
            manipulation=manipulation or (),
            progress=progress,
        )
    if done.study is not None:
        print(done.study, end="\n\n")
    if done.grid is not None:
        _print_flips(done.grid.flips())
    print(f"Results: {done.folder}  ({done.seconds:.0f} s)")


def _print_flips(flips: pd.DataFrame) -> None:
    """Along each dimension: the measure and the share of draws in which it is below 0 at its two ends, and where it
    changes sign, with the 95 % interval over draws."""
    head = ("measure", "dimension", "range", "there", "draws below 0", "changes sign at", "95 %")
    rows = [
        (
            f.measure,
            f.dimension,
            f"{f.low:g} to {f.high:g}",
            f"{number(f.at_low, 3)} to {number(f.at_high, 3)}",
            f"{f.negative_low:.0%} to {f.negative_high:.0%}",
            number(f.flips_at, 3),
            f"{number(f.flips_from, 3)} to {number(f.flips_to, 3)}" if f.flips_at == f.flips_at else "–",
        )
        for f in flips.itertuples()
    ]
    print(columns([head, *rows], "<<<<<>>"), end="\n\n")
