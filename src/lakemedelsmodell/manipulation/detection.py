"""Telling manipulation from practice: funnels, bunching and stopping per centre × group, and what survives many tests.

Every test compares a count O with its expectation E in the form of the funnel plot with additive over-dispersion
(Spiegelhalter 2005, Stat Med 24:1185): z = (O − E) / √(E(1 − p) + ψ²E²), ψ from the middle of the centres, so that
the few that manipulate do not widen their own limits. Probabilities come from the negative binomial distribution of
the same mean and variance, since counts of a few persons are far from normal in the tail that matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lakemedelsmodell.palette import INK, OTHER_COLOUR, PROPOSAL_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENOUGH_EXPECTED = 5.0
"""A centre's count tells of ψ from so many expected on."""
ENOUGH_CENTRES = 10
CUT, EFFICIENCY = 1.5, 0.8
"""Where squares are cut, and how well the SD is told then: about four fifths as well as by all of normal data."""
LEAST_EXPECTED = 1.0
"""Cells with less expected are not tested, whatever is observed: choosing by what is observed would find too much."""


def overdispersion(observed: np.ndarray, expected: np.ndarray, chance: np.ndarray) -> float:
    """ψ: SD over centres of O/E beyond chance, robustly estimated and raised by one standard error.

    Raised, since limits that happen to be set too tight name the innocent: without it more than one world in twenty
    where nobody manipulates would have a centre named at 5 % false discoveries.

    Parameters
    ----------
    observed, expected : counts, shape (K,)
    chance : E(1 − p), the variance by chance, shape (K,)

    Returns
    -------
    float; nan where fewer than ten centres, or less than half of those tested, expect five or more: manipulation itself
    may be why they do. Centres are compared with their own median, so that a change all share is no over-dispersion.
    The mean of z², each cut at :data:`CUT`², is set to what it is of a normal
    variable (Huber 1964, proposal 2).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    tells = expected >= ENOUGH_EXPECTED
    if (n := int(tells.sum())) < max(ENOUGH_CENTRES, (expected >= LEAST_EXPECTED).sum() / 2):
        return np.nan
    o, e, v = observed[tells], expected[tells], chance[tells]
    off = (o - np.median(o / e) * e) ** 2
    usual_square = 2 * norm.cdf(CUT) - 1 - 2 * CUT * norm.pdf(CUT) + 2 * CUT**2 * norm.sf(CUT)

    def excess(psi: float) -> float:
        return float(np.minimum(off / (v + (psi * e) ** 2), CUT**2).mean()) - usual_square

    psi = brentq(excess, 0.0, 100.0) if excess(0.0) > 0 else 0.0
    typical, noise = float(np.median(e)), float(np.median(v))
    raised = (noise + (psi * typical) ** 2) * (1 + 1 / np.sqrt(2 * EFFICIENCY * n)) ** 2
    return float(np.sqrt(raised - noise)) / typical


def funnel_z(observed: np.ndarray, expected: np.ndarray, chance: np.ndarray, psi: np.ndarray | float) -> np.ndarray:
    """z = (O − E) / √(E(1 − p) + ψ²E²), same shape; nan where nothing is expected."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, (observed - expected) / np.sqrt(chance + (psi * expected) ** 2), np.nan)


def upper_tail(observed: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """P(X ≥ O) for a count X of mean E: negative binomial of variance V where V > E, else Poisson (cautious)."""
    from scipy.stats import nbinom, poisson

    wide = variance > expected * (1 + 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = expected**2 / (variance - expected)
        share = expected / variance
        found = np.where(wide, nbinom.sf(observed - 1, np.where(wide, size, 1.0), np.where(wide, share, 0.5)),
                         poisson.sf(observed - 1, expected))
    return np.where(expected > 0, found, np.nan)


def detectable(expected: float, variance: float, p: float) -> float:
    """Least count whose :func:`upper_tail` is at most ``p``; expected > 0."""
    from scipy.stats import nbinom, poisson

    if variance > expected * (1 + 1e-9):
        return float(nbinom.isf(p, expected**2 / (variance - expected), expected / variance)) + 1
    return float(poisson.isf(p, expected)) + 1


def false_discovery(p: np.ndarray) -> np.ndarray:
    """Benjamini–Hochberg: the least false discovery rate at which each test is found; same shape, nan where p is."""
    from scipy.stats import false_discovery_control

    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


@dataclass(frozen=True, eq=False)
class Funnel:
    """One test of every centre × group.

    Attributes
    ----------
    name : str
        ``level``, ``change``, ``stopping`` or ``bunching``.
    groups : tuple of str, length C
    observed, expected, chance : float64, shape (K, C)
        Persons; expected of the region's practice; variance by chance.
    out_of : float64, shape (K, C)
        Persons among whom they are counted.
    psi : float64, shape (C,)
        SD of O/E between centres beyond chance; where too few centres tell, the median of the other groups' (or 0).
    """

    name: str
    groups: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    chance: np.ndarray
    out_of: np.ndarray
    psi: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """Standardised excess, shape (K, C)."""
        return funnel_z(self.observed, self.expected, self.chance, self.psi)

    @property
    def p(self) -> np.ndarray:
        """One-sided probability of so many or more, shape (K, C); nan where less than one is expected."""
        found = upper_tail(self.observed, self.expected, self.chance + (self.psi * self.expected) ** 2)
        return np.where(self.expected >= LEAST_EXPECTED, found, np.nan)

    def to_frame(self) -> pd.DataFrame:
        """One row per centre (by its row number) and group."""
        K, C = self.observed.shape
        return pd.DataFrame({
            "centre": np.repeat(np.arange(K), C), "group": np.tile(self.groups, K), "test": self.name,
            "observed": self.observed.ravel(), "expected": self.expected.ravel(), "out_of": self.out_of.ravel(),
            "psi": np.tile(self.psi, K), "z": self.z.ravel(), "p": self.p.ravel()})

    def _repr_html_(self) -> str:
        return self.to_frame().sort_values("p").to_html(index=False, max_rows=12, float_format=lambda v: f"{v:,.3g}")

    def plot(self, group: str, *, ax: Axes | None = None) -> Axes:
        """O/E against E of one group, with the limits of 2 and 3 standard deviations."""
        import matplotlib.pyplot as plt

        axes: Axes = plt.subplots()[1] if ax is None else ax
        c = self.groups.index(group)
        seen = self.expected[:, c] > 0
        e, o, v = self.expected[seen, c], self.observed[seen, c], self.chance[seen, c]
        grid = np.geomspace(max(e.min(), 0.5), e.max(), 100)
        sd = np.sqrt(grid * (v.sum() / e.sum()) + (self.psi[c] * grid) ** 2) / grid
        axes.scatter(e, o / e, s=14, color=PROPOSAL_COLOUR, alpha=0.7, linewidths=0)
        axes.axhline(1, color=INK, lw=0.9)
        for width, style in ((2, ":"), (3, "-")):
            axes.plot(grid, 1 + width * sd, style, grid, np.maximum(1 - width * sd, 0), style, color=OTHER_COLOUR, lw=1)
        axes.set(xscale="log", xlabel="expected persons", ylabel="observed / expected", title=f"{self.name}: {group}")
        return axes


def funnel(name: str, groups: tuple[str, ...], observed: np.ndarray, expected: np.ndarray, chance: np.ndarray,
           out_of: np.ndarray, kept: np.ndarray | None = None) -> Funnel:
    """A funnel with ψ estimated group by group; arrays of shape (K, C) as :class:`Funnel` describes them.

    ``kept`` (bool, shape (K, C)) are the cells that say what is usual; None for all.
    """
    kept = np.ones(observed.shape, dtype=bool) if kept is None else kept
    psi = np.array([overdispersion(observed[on, c], expected[on, c], chance[on, c]) for c, on in enumerate(kept.T)])
    told = psi[~np.isnan(psi)]
    return Funnel(name, groups, observed, expected, chance, out_of,
                  np.where(np.isnan(psi), np.median(told) if len(told) else 0.0, psi))


UNUSUAL = 0.001
"""Cells less probable than this do not help to say what is usual."""


def usual(first: Funnel) -> Funnel:
    """The funnel again, its expectations set by the centres that are not extreme.

    What the region does includes what manipulators do, and the more of them there are, the better they hide. So each
    group's expectations are scaled to the sum observed at the centres with p of at least :data:`UNUSUAL`.
    """
    kept = ~(first.p < UNUSUAL)
    total = (first.expected * kept).sum(axis=0)
    scale = np.divide((first.observed * kept).sum(axis=0), total, out=np.ones_like(total), where=total > 0)
    return funnel(first.name, first.groups, first.observed, first.expected * scale, first.chance * scale, first.out_of,
                  kept)


def standardised(centre: np.ndarray, cell: np.ndarray, had: np.ndarray, n_centres: int, n_cells: int
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Indirect standardisation: O, E = Σ n p, E(1 − p) = Σ n p(1 − p) and n, each of shape (K,).

    ``centre`` and ``cell`` (int) and ``had`` (bool) are per person, shape (n,); p is the region's share in the cell.
    """
    at = np.bincount(centre * n_cells + cell, minlength=n_centres * n_cells).reshape(n_centres, n_cells)
    observed = np.bincount(centre[had], minlength=n_centres).astype(float)
    listed = at.sum(axis=0)
    share = np.bincount(cell[had], minlength=n_cells) / np.maximum(listed, 1)
    return observed, at @ share, at @ (share * (1 - share)), at.sum(axis=1).astype(float)


def proportion(out_of: np.ndarray, share: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """nπ₀ and nπ₀(1 − π₀): what a share π₀ of n gives, and its variance."""
    expected = out_of * share
    return expected, expected * (1 - share)


def same_level(expected: np.ndarray, before_observed: np.ndarray, before_expected: np.ndarray) -> np.ndarray:
    """Expected newcomers, allowing for how often the centre used the group already: E × (O/E before)^γ, rescaled.

    A centre with more illness, or a readier hand, has more users and more new ones; both persist. What is left is
    change. All of shape (K,); the level is shrunk by one expected person, so that small centres move little, and γ = 1.
    """
    level = (before_observed + 1) / (before_expected + 1)
    adjusted = expected * level
    total = adjusted.sum()
    return adjusted * (expected.sum() / total) if total > 0 else expected


def power(found: np.ndarray, planted: np.ndarray) -> dict[str, Any]:
    """How many manipulating centres are found, and how many of the found are innocent.

    Parameters
    ----------
    found, planted : bool, shape (K, C)
        Centre × group.

    Returns
    -------
    dict: centres_planted, centres_found, power (share of manipulating centres with at least one planted cell found; nan
    if there are none), cells_found, cells_false, false_share (of cells found that were not planted; 0 if none found).
    """
    guilty = planted.any(axis=1)
    caught = (found & planted).any(axis=1)
    n, false = int(found.sum()), int((found & ~planted).sum())
    return {"centres_planted": int(guilty.sum()), "centres_found": int(caught.sum()),
            "power": float(caught.sum() / guilty.sum()) if guilty.any() else np.nan,
            "cells_found": n, "cells_false": false, "false_share": false / n if n else 0.0}
