"""A grid of worlds: where does the sign of a result flip?

A Latin hypercube varies all parameters at once, one-at-a-time levels show each alone, both on common random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lakemedelsmodell import facts
from lakemedelsmodell.data.toml_files import read_checked
from lakemedelsmodell.errors import UserError, unknown_name
from lakemedelsmodell.evaluation import Progress, quiet
from lakemedelsmodell.simulation.scenario import Scenario, load_scenario
from lakemedelsmodell.study.replicate import Replicate
from lakemedelsmodell.study.studies import Kept, Task, run_tasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = {
    "log_sd_ratio": ("chronic", "log_sd_ratio.age_sex", "Δ = ln(SD ratio)"),
    "beyond_random": ("chronic", "beyond_random.age_sex", "Δ beyond random lists"),
    "log_sd_ratio_pool": ("chronic_pool", "log_sd_ratio.age_sex_pool", "Δ with a pool under both"),
    "log_sd_ratio_atc2": ("chronic_atc2", "log_sd_ratio.age_sex", "Δ with ATC level 2 as groups"),
    "rmse_change": ("chronic", "rmse_change.age_sex", "Change of RMSE to the ideal net"),
    "pass_through_change": ("chronic", "pass_through_change.age_sex", "Change of pass-through"),
}
"""What is measured: name → (model, measure, label)."""
MAPPED = ("log_sd_ratio", "rmse_change", "pass_through_change")
"""What the figures show."""
LIST_SIZE = "list_size"
"""Path that stands for the mean list size, persons per centre, rather than for a parameter of the scenario."""


class Dimension(BaseModel):
    """One parameter: ``path`` in the scenario (``style.volume_sd``, or ``list_size``) between ``low`` and ``high``.

    With ``as`` = "factor" all numbers at the path are multiplied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    path: str
    low: float
    high: float
    as_: Annotated[Literal["value", "factor"], Field(alias="as")] = "value"
    levels: tuple[float, ...] | None = None
    unit: str = ""

    @model_validator(mode="after")
    def _rising(self) -> Dimension:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class Grid(BaseModel):
    """Which worlds: ``points`` of a Latin hypercube over all dimensions and ``levels`` of each alone, each drawn
    ``replicates`` times with the same random numbers at every point."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    world: str
    points: Annotated[int, Field(ge=0)]
    levels: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 1
    replicates: Annotated[int, Field(ge=1)] = 1
    centres: Annotated[int, Field(ge=10)] | None = None
    dimension: Annotated[tuple[Dimension, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _named_once(self) -> Grid:
        names = [d.name for d in self.dimension]
        if len(set(names)) < len(names):
            raise ValueError("two dimensions have the same name")
        return self


@dataclass(frozen=True, eq=False)
class GridResult:
    """What came of a grid.

    Attributes
    ----------
    grid : Grid
    table : DataFrame, one row per point
        design (latin_hypercube | one_at_a_time), varied (the dimension of a one-at-a-time point), one column per
        dimension (nan: as in the world), per measure of :data:`MEASURES` its mean over replicates, the Monte-Carlo
        standard error of it (``<measure>_mcse``, nan with one replicate) and the share of replicates in which it is
        below 0 (``<measure>_negative``), replicates, scale.
    """

    grid: Grid
    table: pd.DataFrame

    def along(self, dimension: str) -> pd.DataFrame:
        """The points where this dimension alone varies, in its order: its value, every measure, its standard error and
        the share of draws in which it is below 0.

        Raises UserError for a dimension the grid has not.
        """
        names = [d.name for d in self.grid.dimension]
        if dimension not in names:
            raise unknown_name("dimension", dimension, names)
        columns = [dimension, *(column for m in MEASURES for column in (m, f"{m}_mcse", f"{m}_negative"))]
        return self.table[self.table["varied"] == dimension].sort_values(dimension, ignore_index=True)[columns]

    def flips(self) -> pd.DataFrame:
        """Where each measure changes sign along each dimension, the others as in the world.

        Columns dimension, unit, measure, low, high (of the range), at_low, at_high (the measure there), se_low, se_high
        (its Monte-Carlo standard error), negative_low, negative_high (share of draws in which it is below 0), flips_at
        (by straight lines between levels; nan: nowhere), flips_from, flips_to (where the ends of its 95 % interval over
        draws do; nan: not within the range, or one draw), effect, effect_se (change of the measure over the whole range
        of the dimension by least squares over the Latin hypercube; nan with too few points), positive (share of the
        hypercube's points where the measure is above 0).
        """
        found = []
        for measure in MEASURES:
            effects = self._effects(measure)
            for d in self.grid.dimension:
                line = self.along(d.name)
                x, y, error, negative = (line[c].to_numpy(dtype=float) for c in (
                    d.name, measure, f"{measure}_mcse", f"{measure}_negative"))
                found.append((d.name, d.unit, measure, d.low, d.high, y[0], y[-1], error[0], error[-1], negative[0],
                              negative[-1], sign_change(x, y), *self._turns(x, y, error), *effects[d.name],
                              self._positive(measure)))
        return pd.DataFrame(found, columns=[
            "dimension", "unit", "measure", "low", "high", "at_low", "at_high", "se_low", "se_high", "negative_low",
            "negative_high", "flips_at", "flips_from", "flips_to", "effect", "effect_se", "positive"])

    def _turns(self, x: np.ndarray, y: np.ndarray, error: np.ndarray) -> tuple[float, float]:
        """Where the two ends of the interval of ``y`` change sign, the first first."""
        from scipy.special import stdtrit

        replicates = int(self.table["replicates"].iloc[0])
        if replicates == 1 or np.isnan(sign_change(x, y)):
            return np.nan, np.nan
        half = stdtrit(replicates - 1, 0.975) * error
        upper, lower = sign_change(x, y + half), sign_change(x, y - half)
        return (upper, lower) if y[0] < 0 else (lower, upper)

    def _positive(self, measure: str) -> float:
        drawn = self.table.loc[self.table["design"] == "latin_hypercube", measure].dropna()
        return float((drawn > 0).mean()) if len(drawn) else np.nan

    def _effects(self, measure: str) -> dict[str, tuple[float, float]]:
        names = [d.name for d in self.grid.dimension]
        rows = self.table[self.table["design"] == "latin_hypercube"].dropna(subset=[measure])
        n, p = len(rows), len(names) + 1
        if n <= p:
            return dict.fromkeys(names, (np.nan, np.nan))
        low, high = (np.array([getattr(d, end) for d in self.grid.dimension]) for end in ("low", "high"))
        design = np.column_stack([np.ones(n), (rows[names].to_numpy(dtype=float) - low) / (high - low)])
        y = rows[measure].to_numpy(dtype=float)
        beta, *_ = np.linalg.lstsq(design, y, rcond=None)
        variance = ((y - design @ beta) ** 2).sum() / (n - p) * np.diag(np.linalg.inv(design.T @ design))
        return {name: (float(beta[1 + i]), float(np.sqrt(variance[1 + i]))) for i, name in enumerate(names)}

    def plot(self, measures: Sequence[str] = MAPPED) -> Figure:
        """Measures down, dimensions across: each alone (line, ± a standard error) and all at once (dots); 0 is where
        the sign flips."""
        import matplotlib.pyplot as plt

        dims = self.grid.dimension
        figure, axes = plt.subplots(len(measures), len(dims), figsize=(2.3 * len(dims), 2.1 * len(measures)),
                                    sharey="row", sharex="col", squeeze=False, layout="constrained")
        hypercube = self.table[self.table["design"] == "latin_hypercube"]
        flips = self.flips().set_index(["measure", "dimension"])["flips_at"]
        for row, measure in zip(axes, measures, strict=True):
            row[0].set_ylabel(MEASURES[measure][2], fontsize=8)
            for ax, d in zip(row, dims, strict=True):
                ax.axhline(0, color="0.4", lw=0.8)
                ax.scatter(hypercube[d.name], hypercube[measure], s=9, lw=0,
                           c=np.where(hypercube[measure] < 0, "tab:blue", "tab:orange"), alpha=0.6)
                line = self.along(d.name)
                ax.errorbar(line[d.name], line[measure], line[f"{measure}_mcse"], fmt="k.-", lw=1, ms=4)
                if np.isfinite(at := flips[measure, d.name]):
                    ax.axvline(at, color="tab:red", lw=0.8, ls="--")
                ax.tick_params(labelsize=7)
        for ax, d in zip(axes[-1], dims, strict=True):
            ax.set_xlabel(f"{d.name}\n{d.unit}", fontsize=7)
            ax.locator_params(axis="x", nbins=4)
        return figure

    def plot_map(self, measures: Sequence[str] = MAPPED) -> Figure:
        """A strip per dimension, from the low to the high end of its range with the others as in the world.

        Purple where the measure is below 0, orange above, the deeper the further; hatched where draws do not agree on
        the sign; a bar with its value where the sign flips.
        """
        import matplotlib.pyplot as plt

        dims = self.grid.dimension
        figure, axes = plt.subplots(1, len(measures), figsize=(1.5 + 3.1 * len(measures), 0.9 + 0.42 * len(dims)),
                                    sharey=True, squeeze=False, layout="constrained")
        flips = self.flips().set_index(["measure", "dimension"])
        for ax, measure in zip(axes[0], measures, strict=True):
            lines = [self.along(d.name) for d in dims]
            most = max(float(line[measure].abs().max()) for line in lines) or 1.0
            for place, (d, line) in enumerate(zip(dims, lines, strict=True)):
                fine = np.linspace(d.low, d.high, 200)
                ax.imshow(np.interp(fine, line[d.name], line[measure])[None, :], aspect="auto", cmap="PuOr_r",
                          vmin=-most, vmax=most, extent=(0, 1, place + 0.4, place - 0.4))
                nearest = np.abs(fine[:, None] - line[d.name].to_numpy(dtype=float)).argmin(axis=1)
                share = line[f"{measure}_negative"].to_numpy(dtype=float)[nearest]
                ax.fill_between(np.linspace(0, 1, len(fine)), place - 0.4, place + 0.4, where=(share > 0) & (share < 1),
                                facecolor="none", edgecolor="0.35", hatch="////", lw=0)
                row = flips.loc[(measure, d.name)]
                for x, value, side in ((0.02, row["at_low"], "left"), (0.98, row["at_high"], "right")):
                    dark = abs(value) > 0.6 * most
                    ax.text(x, place, f"{value:+.2f}", ha=side, va="center", fontsize=7, color="w" if dark else "k")
                if np.isfinite(row["flips_at"]):
                    at = (row["flips_at"] - d.low) / (d.high - d.low)
                    ax.vlines(at, place - 0.4, place + 0.4, color="k", lw=1.5)
                    ax.text(at, place - 0.4, f"{row['flips_at']:.3g}", ha="center", va="bottom", fontsize=7)
            ax.set(xlim=(0, 1), ylim=(len(dims) - 0.4, -0.8), xticks=[0, 1], xticklabels=["low", "high"],
                   yticks=range(len(dims)))
            ax.set_yticklabels([f"{d.name}, {d.low:g}–{d.high:g}" for d in dims], fontsize=8)
            ax.set_title(MEASURES[measure][2], fontsize=9)
        return figure

    def _repr_html_(self) -> str:
        return self.flips().to_html(index=False, float_format=lambda v: f"{v:,.3f}", na_rep="")


def read_grid(path: Path | None = None) -> Grid:
    """A grid from a TOML file; None = the packaged one. UserError or DataError names what is wrong."""
    place = resources.files("lakemedelsmodell.simulations").joinpath("grid.toml") if path is None else path
    return read_checked(Grid, place, f"There is no grid {path}. Give a TOML file such as simulations/grid.toml.",
                        "Compare with the packaged simulations/grid.toml.")


def run_grid(grid: Grid, *, replicates: int | None = None, scale: float = 1.0, workers: int = 2,
             kept: Path | None = None, progress: Progress = quiet) -> GridResult:
    """Draw every point of ``grid`` ``replicates`` times (None: as the grid says).

    ``scale`` multiplies list sizes; the rest as for ``study``. The work is points × replicates.

    Raises UserError for a path that is no parameter of the world, or a value it cannot have.
    """
    replicates = grid.replicates if replicates is None else replicates
    points, tasks = design(grid), grid_tasks(grid, replicates, scale)
    done = run_tasks(tasks, kept=Kept(kept), workers=workers, progress=progress)
    rows = [{"design": point["design"], "varied": point["varied"],
             **{d.name: point["values"].get(d.name, np.nan) for d in grid.dimension},
             **_mapped(done[i * replicates:(i + 1) * replicates]), "replicates": replicates, "scale": scale}
            for i, point in enumerate(points)]
    return GridResult(grid, pd.DataFrame(rows))


def grid_tasks(grid: Grid, replicates: int, scale: float) -> list[Task]:
    """Replicate after replicate of point after point; UserError as :func:`run_grid`."""
    if replicates < 1:
        raise UserError(f"{replicates} replicates are none. Ask for 1 or more.")
    world, tasks = load_scenario(grid.world), []
    for point in design(grid):
        scenario, size = changed(world, grid.dimension, point["values"])
        tasks += [Task(scenario, world.seed + r, scale * size, grid.centres, competitors=False)
                  for r in range(replicates)]
    return tasks


def design(grid: Grid) -> list[dict[str, Any]]:
    """The points: ``design``, ``varied`` and ``values`` by dimension (McKay, Beckman & Conover 1979)."""
    from scipy.stats import qmc

    dims = grid.dimension
    found: list[dict[str, Any]] = []
    if grid.points:
        drawn = qmc.scale(qmc.LatinHypercube(len(dims), rng=grid.seed).random(grid.points),
                          [d.low for d in dims], [d.high for d in dims])
        found += [{"design": "latin_hypercube", "varied": "",
                   "values": {d.name: float(x) for d, x in zip(dims, row, strict=True)}} for row in drawn]
    for d in dims:
        levels = d.levels or tuple(np.linspace(d.low, d.high, grid.levels).tolist())
        found += [{"design": "one_at_a_time", "varied": d.name, "values": {d.name: x}} for x in levels]
    return found


def changed(world: Scenario, dimensions: Sequence[Dimension], values: dict[str, float]) -> tuple[Scenario, float]:
    """The world with ``values``, and the factor on its list sizes."""
    raw, size = world.model_dump(by_alias=True), 1.0
    for d in dimensions:
        if d.name not in values:
            continue
        if d.path == LIST_SIZE:
            size = values[d.name] * world.population.centres / float(facts.listed_population()["listed"].sum())
            continue
        section, _, last = d.path.partition(".")
        at = raw.get(section)
        if not isinstance(at, dict) or last not in at:
            raise UserError(f"{d.path} is no parameter of {world.name}. Compare with simulations/{world.name}.toml.")
        old = at[last]
        at[last] = values[d.name] if d.as_ == "value" else (
            [x * values[d.name] for x in old] if isinstance(old, (list, tuple)) else old * values[d.name])
    try:
        return Scenario.model_validate(raw), size
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"The grid asks for what {world.name} cannot be: {'.'.join(map(str, first['loc']))}: "
                        f"{first['msg']}. Change its range.") from None


def sign_change(x: np.ndarray, y: np.ndarray) -> float:
    """Where ``y`` first changes sign along ``x``, by straight lines between points; nan where it does not."""
    for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
        if y0 == 0:
            return float(x0)
        if y0 * y1 < 0:
            return float(x0 + (x1 - x0) * y0 / (y0 - y1))
    return float(x[-1]) if len(y) and y[-1] == 0 else float("nan")


def _mapped(replicates: Sequence[Replicate]) -> dict[str, float]:
    found = {}
    for name, (model, measure, _) in MEASURES.items():
        drawn = [r.measures[model][measure] for r in replicates]
        found[name] = float(np.mean(drawn))
        found[f"{name}_mcse"] = float(np.std(drawn, ddof=1) / np.sqrt(len(drawn))) if len(drawn) > 1 else np.nan
        found[f"{name}_negative"] = float(np.mean(np.array(drawn) < 0))
    return found
