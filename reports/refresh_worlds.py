"""Draw the shipped worlds and the shipped grid anew, and put what came of them into docs/worlds.md.

    python reports/refresh_worlds.py [--kept FOLDER] [--page]

The results go to simulations/ (twenty minutes of one core, see docs/benchmark.md), the tables and the map to the page.
``--page`` draws nothing and makes the page anew from the results that ship; the text between the tables is written by
hand. A test holds the page to the results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lakemedelsmodell.study import packaged_grid, packaged_measures, packaged_newcomers, packaged_worlds

PROJECT = Path(__file__).resolve().parents[1]
PAGE, MAP = PROJECT / "docs" / "worlds.md", PROJECT / "docs" / "images" / "where_the_sign_flips.svg"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def signed(value: float, digits: int = 2) -> str:
    return "" if np.isnan(value) else f"{value:+.{digits}f}".replace("-", "−")


def outcome(number: float, holds: bool | None) -> str:
    """Bold where the clause fails, with a question mark where it is not yet known."""
    if holds is None:
        return f"{signed(number)} ?"
    return signed(number) if holds else f"**{signed(number)}**"


def verdicts() -> str:
    """A line per world: verdict, each clause with its number, and the groups under an amount for newcomers."""
    worlds, rows = packaged_worlds(), []
    with_amount = packaged_newcomers().set_index("world")
    for world, of in worlds.groupby("world", sort=False):
        said = [outcome(c.number, c.holds) for c in of.itertuples() if c.clause != "manipulation"]
        said.append(outcome(*with_amount.loc[world, ["number", "holds"]]) if world in with_amount.index else "")
        rows.append((f"`{world}`", str(of["replicates"].iloc[0]), of["decision"].iloc[0], *said))
    return table(("world", "draws", "verdict", "Δ, upper limit", "Δ with pool, upper limit", "pass-through",
                  "worst group, SEK", "the same, newcomers paid for"), rows)


def competitors() -> str:
    """The default world's models, nearest together first."""
    found = packaged_measures().query("world == 'skane_2026h1' and model != 'region'")
    wide, error = (found.pivot(index="model", columns="measure", values=v) for v in ("value", "mcse"))
    wide = wide.sort_values("sd")
    return table(("model", "SD", "R²", "pass-through", "RMSE to the ideal"), [
        (f"`{model}`", f"{row['sd']:.2f}", f"{row['r2']:.3f}", f"{row['pass_through']:.2f}",
         f"{row['rmse_to_ideal']:.2f} ± {error.loc[model, 'rmse_to_ideal']:.2f}") for model, row in wide.iterrows()])


def flips() -> str:
    rows = []
    for dimension, of in packaged_grid().flips().groupby("dimension", sort=False):
        by, first = of.set_index("measure"), of.iloc[0]
        cells = [_turn(by.loc[measure]) for measure in ("log_sd_ratio", "rmse_change", "pass_through_change")]
        rows.append((f"`{dimension}`, {first['unit']}", f"{first['low']:g}–{first['high']:g}", *cells))
    return table(("assumption", "range", "Δ", "distance to the ideal net, SEK", "pass-through"), rows)


def _turn(row: pd.Series) -> str:
    """The measure at both ends of the range, and where it turns with its interval over draws."""
    said = f"{signed(row['at_low'])} to {signed(row['at_high'])}"
    if np.isnan(row["flips_at"]):
        return said
    between = "–".join("" if np.isnan(at) else f"{at:.3g}" for at in (row["flips_from"], row["flips_to"]))
    return f"{said}, **turns at {row['flips_at']:.3g}**" + (f" ({between})" if between != "–" else "")


def headline() -> str:
    line = packaged_grid().along("prevalence_cv")
    return table(("CV of illness over centres", "Δ", "beyond random lists", "Δ with pool", "Δ, ATC level 2",
                  "distance to the ideal net, SEK"), [
        (f"{100 * row.prevalence_cv:.0f} %", signed(row.log_sd_ratio), signed(row.beyond_random),
         signed(row.log_sd_ratio_pool), signed(row.log_sd_ratio_atc2), signed(row.rmse_change))
        for row in line.itertuples()])


TABLES: dict[str, Callable[[], str]] = {f.__name__: f for f in (verdicts, competitors, flips, headline)}


def marked(name: str, content: str) -> str:
    """A table as it stands on the page."""
    return f"<!-- {name} -->\n{content}\n<!-- /{name} -->"


def page() -> None:
    import matplotlib.pyplot as plt

    text = PAGE.read_text(encoding="utf-8")
    for name, made in TABLES.items():
        before, _, rest = text.partition(f"<!-- {name} -->")
        text = before + marked(name, made()) + rest.partition(f"<!-- /{name} -->")[2]
    PAGE.write_text(text, encoding="utf-8")
    with plt.rc_context({"svg.hashsalt": "lakemedelsmodell", "svg.fonttype": "none"}):
        packaged_grid().plot_map().savefig(MAP, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kept", type=Path)
    options.add_argument("--page", action="store_true")
    given = options.parse_args()
    if not given.page:
        kept = ["--kept", str(given.kept)] if given.kept else []
        subprocess.run([sys.executable, "-m", "lakemedelsmodell.study.packaged", str(PROJECT / "simulations"), *kept],
                       check=True)
    page()


if __name__ == "__main__":
    main()
