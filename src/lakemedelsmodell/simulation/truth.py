"""What each person's drugs can be expected to cost, given illness and intensity, at the region's average practice.

An oracle for measures that need a truth; no payment can know it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc

from lakemedelsmodell.data.periods import HALF_YEAR
from lakemedelsmodell.facts import FeeStaircase
from lakemedelsmodell.simulation.illness import shifted
from lakemedelsmodell.simulation.prescribing import free_class, own_log_intensity

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
        self.price = world.prices[:, -HALF_YEAR:].mean(axis=1)
        self.fills = drugs.fills * (1 + drugs.second_drug)

    @cached_property
    def _fees(self) -> np.ndarray:
        return expected_fee(self.world.staircases[-1], np.exp(self._LOG_MEAN)[:, None], np.exp(self._LOG_CV))

    def _per_user(self, styled: bool) -> tuple[np.ndarray, np.ndarray]:
        """Yearly gross cost per user of each group at mean intensity, and the share of it in the base, (K, G) each."""
        world, drugs = self.world, self.world.drugs
        G = len(self.fills)
        found = []
        for home, volume in enumerate(world.severity):
            share = drugs.share
            if styled:
                odds = share * np.exp(world.price_style[home] * drugs.dearer)
                share = odds / np.bincount(drugs.group, weights=odds, minlength=G)[drugs.group]
                volume = volume * world.volume_style[home]
            cost = share * drugs.ddd_per_fill * self.price
            all_drugs = np.bincount(drugs.group, weights=cost, minlength=G)
            in_base = np.bincount(drugs.group, weights=cost * drugs.in_base, minlength=G) / all_drugs
            found.append((self.fills * volume * all_drugs, in_base))
        per_user, shares = zip(*found, strict=True)
        return np.stack(per_user), np.stack(shares)

    @cached_property
    def _usual(self) -> tuple[np.ndarray, np.ndarray]:
        return self._per_user(styled=False)

    @cached_property
    def _styled(self) -> tuple[np.ndarray, np.ndarray]:
        return self._per_user(styled=True)

    @cached_property
    def _rare(self) -> np.ndarray:
        """Who uses a group no more than this is rare there even by the style of any centre; shape (G,)."""
        return RARE * (1 - 1e-9) / np.maximum(self.world.initiation_odds.max(axis=0), 1)

    def of(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Gross cost and the region's cost, SEK per half-year listed, float64, shape (n,) each, at the region's average
        practice.

        Yearly gross cost is taken to be gamma-distributed around its mean, with the variance of who uses what; fees of
        the latest staircase are shared between base and other drugs as their gross costs are.
        """
        return self._expected(block, (False,))[0]

    def both(self, block: Block) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """:meth:`of`, and the same at the practice of the centre where a person is first listed: the difference is what
        the centre's style is expected to cost."""
        usual, styled = self._expected(block, (False, True))
        return usual, styled

    def _expected(self, block: Block, styles: tuple[bool, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
        """:meth:`of`, at the region's average practice and with the centre's own style where ``styles`` say so."""
        world, drugs, p = self.world, self.world.drugs, block.persons
        n, G = block.use.shape
        months = len(world.calendar.firsts)
        key = np.flatnonzero(np.maximum(block.use, block.use_later) > self._rare)
        person = key // G
        group = key - person * G
        place = block.home.take(person) * G + group
        now = block.use.take(key)
        middle = now + (block.use_later.take(key) - now) * (1 - 3 / months)  # of the half-year
        own = own_log_intensity(drugs, block.streams.keyed("fills").counter(person, G, group), group)
        intensity = np.exp(own + block.log_intensity.take(person))
        age = np.maximum((world.first_month + months - 3 - p.birth_month) // 12, 0)
        level = (block.age_factor * world.factors[np.minimum(age // 5, 20) * 2 + p.sex]).take(person)
        charged_share = np.where(drugs.free, 0.0, 1.0).take((free_class(age) * G).take(person) + group)
        per_fill = (1 / self.fills).take(group)

        def per_person(values: np.ndarray) -> np.ndarray:
            return np.bincount(person, weights=values, minlength=n)

        found = []
        for styled in styles:
            cost, in_base = self._styled if styled else self._usual
            use = shifted(middle, world.initiation_odds.take(place)) if styled else middle
            use = use * (use > RARE)
            each, base_share = cost.take(place) * intensity * level, in_base.take(place)
            base = per_person(use * each * base_share)
            each *= charged_share
            expected = use * each
            charged = per_person(expected)
            variance = per_person(use * each**2 * (1 - use + per_fill))
            charged_base = per_person(expected * base_share)
            buyers = np.flatnonzero(charged > 1)
            fee, of_base = np.zeros(n), np.zeros(n)
            mean = charged[buyers]
            fee[buyers] = self._fee(mean, np.sqrt(variance[buyers]) / mean)
            of_base[buyers] = charged_base[buyers] / mean
            found.append((base / 2, (base - fee * of_base) / 2))
        return found

    def _fee(self, mean: np.ndarray, cv: np.ndarray) -> np.ndarray:
        """Between the four nearest points of the table."""
        i, a = _between(self._LOG_MEAN, np.log(mean))
        j, b = _between(self._LOG_CV, np.log(cv))
        f, wide = self._fees, len(self._LOG_CV)
        at = i * wide + j
        return ((1 - a) * ((1 - b) * f.take(at) + b * f.take(at + 1))
                + a * ((1 - b) * f.take(at + wide) + b * f.take(at + wide + 1)))


def _between(grid: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0, len(grid) - 1 - 1e-9)
    low = at.astype(np.int64)
    return low, at - low
