"""What each person's drugs can be expected to cost, given illness and intensity, at the region's average practice.

An oracle for measures that need a truth; no payment can know it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc

from lakemedelsmodell.facts import FeeStaircase
from lakemedelsmodell.simulation.illness import shifted
from lakemedelsmodell.simulation.prescribing import own_log_intensity
from lakemedelsmodell.simulation.streams import Keyed

if TYPE_CHECKING:
    from lakemedelsmodell.simulation.world import Block, World


RARE = 1e-4
"""Probabilities of use up to this are taken for none."""


def expected_fee(staircase: FeeStaircase, mean: np.ndarray, cv: np.ndarray) -> np.ndarray:
    """Mean yearly fee, SEK, where the year's gross cost is gamma-distributed with ``mean`` SEK and ``cv`` > 0.

    F(g) = Σ (p_j − p_j+1) min(g, x_j), and E min(G, x) = mean·P(k + 1, x/θ) + x·(1 − P(k, x/θ)), with k = 1/cv².
    """
    shares = np.array([share for _, share in staircase.steps] + [0.0])
    ends = [float(up_to) for up_to, _ in staircase.steps]
    k, scale = 1 / cv**2, mean * cv**2
    fee = np.zeros(np.broadcast(mean, cv).shape)
    for x, drop in zip(ends, -np.diff(shares), strict=True):
        fee += drop * (mean * gammainc(k + 1, x / scale) + x * (1 - gammainc(k, x / scale)))
    return np.minimum(fee, staircase.cap_sek)


class ExpectedCost:
    """Expected cost of base drugs per person over the last six months of the window, by :meth:`of`."""

    _LOG_MEAN = np.linspace(np.log(1.0), np.log(1e7), 140)
    _LOG_CV = np.linspace(np.log(0.05), np.log(30.0), 60)

    def __init__(self, world: World):
        self.world = world
        drugs = world.drugs
        self.price = world.prices[:, -6:].mean(axis=1)
        self.fills = drugs.fills * (1 + drugs.second_drug)

    @cached_property
    def _fees(self) -> np.ndarray:
        return expected_fee(self.world.staircases[-1], np.exp(self._LOG_MEAN)[:, None], np.exp(self._LOG_CV))

    def _per_user(self, home: int, styled: bool) -> tuple[np.ndarray, np.ndarray]:
        """Yearly gross cost per user of each group at mean intensity, and the share of it in the base, (G,) each."""
        world, drugs = self.world, self.world.drugs
        G = len(self.fills)
        share, volume = drugs.share, world.severity[home]
        if styled:
            odds = share * np.exp(world.price_style[home] * drugs.dearer)
            share = odds / np.bincount(drugs.group, weights=odds, minlength=G)[drugs.group]
            volume = volume * world.volume_style[home]
        cost = share * drugs.ddd_per_fill * self.price
        all_drugs = np.bincount(drugs.group, weights=cost, minlength=G)
        return self.fills * volume * all_drugs, np.bincount(drugs.group, cost * drugs.in_base, G) / all_drugs

    def of(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Gross cost and the region's cost, SEK per half-year listed, float64, shape (n,) each, at the region's average
        practice.

        Yearly gross cost is taken to be gamma-distributed around its mean, with the variance of who uses what; fees of
        the latest staircase are shared between base and other drugs as their gross costs are.
        """
        use = self._use(block)
        return self._at(block, use, *self._intensity(block, np.flatnonzero(use > RARE)), styled=False)

    def both(self, block: Block) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """:meth:`of`, and the same at the practice of the centre where a person is first listed: the difference is what
        the centre's style is expected to cost."""
        use = self._use(block)
        styled = shifted(use, self.world.initiation_style[block.home])
        some = self._intensity(block, np.flatnonzero(np.maximum(use, styled) > RARE))
        return self._at(block, use, *some, styled=False), self._at(block, styled, *some, styled=True)

    def _use(self, block: Block) -> np.ndarray:
        """Probability to use each group in a year, in the middle of the half-year, (n, G)."""
        months = len(self.world.calendar.firsts)
        return block.use + (block.use_later - block.use) * (1 - 3 / months)

    def _intensity(self, block: Block, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``key`` = person × G + group, and the intensity of each."""
        fills = Keyed("fills", self.world.seed, self.world.centres.centre_id[block.home])
        own = own_log_intensity(self.world.drugs, fills, key)
        return key, np.exp(own + block.log_intensity[key // block.use.shape[1]])

    def _at(self, block: Block, use: np.ndarray, key: np.ndarray, intensity: np.ndarray, *, styled: bool
            ) -> tuple[np.ndarray, np.ndarray]:
        world, drugs, p = self.world, self.world.drugs, block.persons
        n, G = use.shape
        u = use.reshape(-1)[key]
        if not (there := u > RARE).all():
            key, intensity, u = key[there], intensity[there], u[there]
        cost, in_base = self._per_user(block.home, styled)
        age = np.maximum((world.first_month + len(world.calendar.firsts) - 3 - p.birth_month) // 12, 0)
        person, group = np.divmod(key, G)
        level = block.age_factor * world.factors[np.minimum(age // 5, 20) * 2 + p.sex]
        each = cost[group] * intensity * level[person]
        free = (age < 18)[person] | drugs.always_free[group] | (drugs.free_under_21[group] & (age < 21)[person])

        def per_person(values: np.ndarray) -> np.ndarray:
            return np.bincount(person, weights=values, minlength=n)

        expected, base_share = u * each, in_base[group]
        base = per_person(expected * base_share)
        charged_each = np.where(free, 0.0, each)
        expected_charged = u * charged_each
        charged = per_person(expected_charged)
        variance = per_person(u * charged_each**2 * (1 - u + (1 / self.fills)[group]))
        charged_base = per_person(expected_charged * base_share)
        buyers = charged > 1
        fee = np.zeros(n)
        fee[buyers] = self._fee(charged[buyers], np.sqrt(variance[buyers]) / charged[buyers])
        with np.errstate(invalid="ignore"):
            of_base = np.where(buyers, charged_base / charged, 0.0)
        return base / 2, (base - fee * of_base) / 2

    def _fee(self, mean: np.ndarray, cv: np.ndarray) -> np.ndarray:
        """Between the four nearest points of the table."""
        i, a = _between(self._LOG_MEAN, np.log(mean))
        j, b = _between(self._LOG_CV, np.log(cv))
        f = self._fees
        return (1 - a) * ((1 - b) * f[i, j] + b * f[i, j + 1]) + a * ((1 - b) * f[i + 1, j] + b * f[i + 1, j + 1])


def _between(grid: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0, len(grid) - 1 - 1e-9)
    low = at.astype(np.int64)
    return low, at - low
