"""Small worlds of one disease, whose spread between centres is known in closed form."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from cohorts import cohort, table
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.settlement import Settlement, settle

ALPHA = 0.7
WELL, ILL = 40.0, 260.0
"""Cost per listed month of those without and with the disease, SEK."""
SHAPE = 0.4
"""Cost over m months is gamma with shape SHAPE·m: mean m·need, variance m·need²/SHAPE."""


def gamma_world(rng: Generator, *, centres: int = 40, persons: int = 100, style: np.ndarray | float = 0.0) -> Cohort:
    """Prevalence differs between centres, months between persons; ``style`` (SEK per month) is added to every cost."""
    centre = np.repeat(np.arange(centres), persons)
    ill = rng.random(len(centre)) < rng.uniform(0.05, 0.35, centres)[centre]
    months = np.where(rng.random(len(centre)) < 0.8, 6, rng.integers(1, 6, len(centre))).astype(float)
    need = np.where(ill, ILL, WELL)
    cost = rng.gamma(SHAPE * months, need / SHAPE) + months * np.broadcast_to(style, centres)[centre]
    return cohort(centre, cost, flags=ill, months=months)


def gamma_floor(world: Cohort) -> float:
    """F² of a gamma world by its formula, (SEK per listed month)²."""
    need = np.where(world.flags["dispensed"][:, 0], ILL, WELL)
    variance = np.bincount(world.centre, world.months * need**2 / SHAPE)
    return float(np.mean(ALPHA**2 * variance / np.bincount(world.centre, world.months) ** 2))


def knowing(world: Cohort) -> tuple[np.ndarray, Settlement, np.ndarray]:
    """Perfect flags: expected cost per month, settlement, and what each row is paid per month."""
    predicted = np.where(world.flags["dispensed"][:, 0], ILL, WELL)
    settled = settle(table(ALPHA * WELL, [ALPHA * (ILL - WELL)]), world, ALPHA)
    return predicted, settled, settled.phi * ALPHA * predicted


def normal_world(rng: Generator, *, centres: int, persons: int, sigma: float, tau: float = 0.0,
                 p: float = 0.0, b: float = 0.0, base: float = 1000.0) -> Cohort:
    """One month each; cost base + b z + u_k + noise, z Bernoulli(p), u ~ N(0, τ²), noise ~ N(0, σ²): random lists."""
    centre = np.repeat(np.arange(centres), persons)
    z = rng.random(len(centre)) < p
    cost = base + b * z + rng.normal(0, tau, centres)[centre] + rng.normal(0, sigma, len(centre))
    return cohort(centre, cost, flags=z, months=1.0)


def paid_flat(world: Cohort) -> tuple[Settlement, np.ndarray]:
    """One amount per head: settlement and what each row is paid per month."""
    settled = settle(table(100.0), world, ALPHA)
    return settled, np.full(len(world.cost), settled.phi * 100.0)


def within_4_errors(drawn, known: float) -> bool:
    """Whether the mean of independent draws is the known value, by four Monte-Carlo standard errors."""
    drawn = np.asarray(drawn)
    return bool(abs(drawn.mean() - known) <= 4 * drawn.std(ddof=1) / np.sqrt(len(drawn)))
