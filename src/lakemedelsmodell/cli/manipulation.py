"""``manipulate``: what a centre can gain by how it prescribes and lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakemedelsmodell.cli.app import app, example
from lakemedelsmodell.cli.options import Out, data_folder, progress_bar
from lakemedelsmodell.cli.printing import columns, number, percent
from lakemedelsmodell.errors import UserError

if TYPE_CHECKING:
    from lakemedelsmodell.manipulation.results import Manipulation


@app.command(epilog=example("manipulate skane_2026h1 --scale 0.05 --out runs/play"))
def manipulate(
    data: Annotated[
        str, typer.Argument(metavar="DATA_OR_SCENARIO", help="Folder with the four tables, or a world's name or file.")
    ] = "skane_2026h1",
    strategies: Annotated[
        str | None, typer.Option(help="Names or numbers of strategies, separated by commas; all fifteen otherwise.")
    ] = None,
    effort: Annotated[
        str | None, typer.Option(help="Shares of those eligible who are treated, such as 0,0.1,1.")
    ] = None,
    designs: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Designs of your own beside today and the proposal.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings that differ from the defaults.")
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of the persons per centre of a simulated world, above 0.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Another draw of the same world.", min=0)] = None,
    out: Out = None,
) -> None:
    """Play fifteen ways to be paid more against today's model, the proposal and defended versions of it.

    Writes manipulation.csv, frontier.csv, incentives.csv, manipulation.json and figures into runs/NAME_manipulated
    unless --out says otherwise; and verdict.json, the run's verdict with this clause, where DATA are those of a run.
    """
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.folders import written_folder
    from lakemedelsmodell.manipulation.designs import read_designs
    from lakemedelsmodell.manipulation.folder import write_manipulation
    from lakemedelsmodell.manipulation.origin import origin_of_data, origin_of_world, verdict_beside
    from lakemedelsmodell.manipulation.play import EFFORTS
    from lakemedelsmodell.manipulation.results import manipulate as play_all
    from lakemedelsmodell.manipulation.strategies import STRATEGIES, named
    from lakemedelsmodell.manipulation.worlds import drawn_world, style_beside
    from lakemedelsmodell.run import read_settings
    from lakemedelsmodell.simulation import load_scenario

    played = named(strategies.split(",")) if strategies else STRATEGIES
    efforts = _efforts(effort) if effort else EFFORTS
    versions, chosen = read_designs(designs), read_settings(settings)
    path = Path(data)
    is_folder = path.is_dir()
    world = None if is_folder else load_scenario(data)
    name = (path.resolve().parent if path.name == "data" else path.resolve()).name if world is None else world.name
    folder = out or Path("runs") / f"{name}_manipulated"
    inputs = [data_folder(path)] if is_folder else []
    with progress_bar() as progress, written_folder(folder, inputs) as stage:
        if world is None:
            half_year, style = read_half_year(inputs[0], progress=progress), style_beside(inputs[0])
        else:
            half_year, style = drawn_world(world, scale=scale, seed=seed, progress=progress)
        found = play_all(half_year, chosen, designs=versions, strategies=played, efforts=efforts, style=style,
                         progress=progress)
        origin = origin_of_data(inputs[0]) if world is None else origin_of_world(world, seed, scale)
        verdict = verdict_beside(inputs[0], found) if world is None else None
        write_manipulation(found, stage, origin=origin, verdict=verdict)
    _print(found)
    if verdict is not None:
        print(f"\nVerdict on the run\n{verdict}")
    print(f"\nResults: {folder}")


def _efforts(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--effort {text} is no list of numbers. Write it as 0,0.1,1.") from None


def _print(found: Manipulation) -> None:
    """Per design the best strategy and where the design stands."""
    head = ("design", "fit kept", "SD", "worst gain", "noise floors", "by", "by prescribing", "robustness", "")
    rows = [
        (
            row.design,
            percent(row.fit_kept),
            number(row.sd),
            number(row.worst_gain),
            number(row.worst_gain / found.noise_floor),
            row.worst_strategy if row.worst_gain > 0 else "–",
            number(row.worst_prescribing_gain),
            number(row.robustness),
            "recommended" if row.recommended else "dominated" if row.dominated else "",
        )
        for row in found.frontier.itertuples()
    ]
    print(f"{found.told['period']} · {found.told['players']} of {found.told['centres']} centres play · noise floor "
          f"{number(found.noise_floor)} SEK per listed month\n")
    print("Worst gain of one centre that treats one in ten of those eligible, SEK per listed month")
    print(columns([head, *rows], "<>>>><>><"))
    clause = found.finding()
    print(f"\n{clause.model} {'is dominated' if not clause.non_dominated else 'is not dominated'}: worst gain "
          f"{number(clause.worst_gain)} SEK per listed month ({clause.detail}).")
    if found.incentives:
        pays = found.incentives.triggers.groupby("model", sort=False)["gain_sek"].agg(
            lambda gain: f"{int((gain > 0).sum())} of {int(gain.notna().sum())}")
        print("Conditions that pay more than they cost to trigger: "
              + "; ".join(f"{of} under {model}" for model, of in pays.items()))
    for name, why in found.left_out.items():
        print(f"Note: {name} is left out: {why}")
    print(f"\n{found.told['assumed'][-1]}")
