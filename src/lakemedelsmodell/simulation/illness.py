"""Who has which diseases, and with what probability each drug group is used because of them.

The world knows diseases, many to many with drug groups, and nothing of what a payment model pays for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from lakemedelsmodell import facts
from lakemedelsmodell.simulation.population import AGES, Persons, single_age_population, standardised
from lakemedelsmodell.simulation.scenario import MoreDrug
from lakemedelsmodell.simulation.streams import Streams, by_name

NEVER = 1e-7
"""Stands for a prevalence of 0."""
MOST = 0.985
"""Highest probability of use given a disease."""
_DECADE = np.minimum(AGES // 10, 9)


def by_single_age(prevalence: np.ndarray) -> np.ndarray:
    """Prevalences by ten-year band as a smooth curve over single ages.

    ``prevalence`` float64, shape (rows, 2 sexes, 10 bands) → shape (rows, 2, 111). Straight on the logit between the
    bands' population-weighted mean ages; the knots are moved until every band has its own mean again.
    """
    population = single_age_population()
    out = np.empty((*prevalence.shape[:2], len(AGES)))
    for s in range(2):
        weight = np.stack([np.where(b == _DECADE, population[s], 0.0) for b in range(10)])
        weight /= weight.sum(axis=1, keepdims=True)
        middle = weight @ AGES + 0.5
        for row, target in enumerate(np.clip(prevalence[:, s], NEVER, 0.999)):
            knots = logit(target)
            for _ in range(40):
                curve = expit(np.interp(AGES + 0.5, middle, knots))
                knots = np.clip(knots + 0.7 * (logit(target) - logit(np.clip(weight @ curve, NEVER, 0.999))), -20, 7)
            out[row, s] = np.clip(curve * (target / (weight @ curve))[_DECADE], 0, 0.999)
    return out


def straight_by_single_age(values: np.ndarray) -> np.ndarray:
    """Multipliers by ten-year band, shape (rows, 2, 10), straight between the bands' middles → shape (rows, 2, 111)."""
    middle = np.append(np.arange(5.0, 90, 10), 93.0)
    return np.stack([[np.interp(AGES + 0.5, middle, v) for v in row] for row in values])


@dataclass(frozen=True)
class IllnessTables:
    """What the facts say of D diseases, G drug groups and the P pairs of a disease and a group it is treated with.

    Attributes
    ----------
    diseases, groups : tuple of str
    prevalence : float64, shape (D, 2, 111)
    frailty_loading, deprivation_loading : float64, shape (D,)
    pair_start, pair_count : int64, shape (D,)
        Where a disease's pairs lie; pairs are sorted by disease.
    pair_group : int64, shape (P,)
    log_untreated : float64, shape (P, 222)
        ln of one minus the probability of use, by sex × single age.
    background : float64, shape (B, 222), background_group : int64, shape (B,), background_loading : float64, shape (B,)
        Use without any of the diseases.
    """

    diseases: tuple[str, ...]
    groups: tuple[str, ...]
    prevalence: np.ndarray
    frailty_loading: np.ndarray
    deprivation_loading: np.ndarray
    pair_start: np.ndarray
    pair_count: np.ndarray
    pair_group: np.ndarray
    log_untreated: np.ndarray
    background: np.ndarray
    background_group: np.ndarray
    background_loading: np.ndarray


@cache
def illness_tables(more: tuple[MoreDrug, ...] = ()) -> IllnessTables:
    """Read from the facts, brought to single years of age; ``more`` drug groups and their diseases come last."""
    diseases = facts.diseases()
    groups = tuple(group.drug_group for group in facts.drug_groups())
    drugs = facts.disease_drugs()
    names = diseases["disease"].tolist()
    pairs = drugs[drugs["disease"] != "background"].copy()
    pairs["d"] = pairs["disease"].map(names.index)
    pairs = pairs.sort_values("d", kind="stable", ignore_index=True)
    modifier = straight_by_single_age(np.nan_to_num(facts.profile(pairs, "mod"), nan=1.0))
    use = np.minimum(pairs["p_treat"].to_numpy()[:, None, None] * modifier, MOST)
    count = np.bincount(pairs["d"], minlength=len(names))
    beside = drugs[drugs["disease"] == "background"]
    tables = IllnessTables(
        diseases=tuple(names), groups=groups,
        prevalence=by_single_age(facts.profile(diseases, "prev_per_1000") / 1000),
        frailty_loading=diseases["frailty_loading"].to_numpy(dtype=np.float64),
        deprivation_loading=diseases["deprivation_loading"].to_numpy(dtype=np.float64),
        pair_start=np.cumsum(count) - count, pair_count=count,
        pair_group=pairs["drug_group"].map(groups.index).to_numpy(dtype=np.int64),
        log_untreated=np.log1p(-use).reshape(len(pairs), -1),
        background=by_single_age(facts.profile(beside, "bg_per_1000") / 1000).reshape(len(beside), -1),
        background_group=beside["drug_group"].map(groups.index).to_numpy(dtype=np.int64),
        background_loading=beside["frailty_loading"].to_numpy(dtype=np.float64),
    )
    return _with_more(tables, more) if more else tables


def _with_more(tables: IllnessTables, more: tuple[MoreDrug, ...]) -> IllnessTables:
    """One disease per drug group, alone in being treated with it."""
    P, n = len(tables.pair_group), len(more)
    names = tuple(drug.drug_group for drug in more)
    profile = np.array([drug.per_1000 for drug in more])[:, None].repeat(2, axis=1) / 1000
    return replace(
        tables, diseases=tables.diseases + names, groups=tables.groups + names,
        prevalence=np.concatenate([tables.prevalence, by_single_age(profile)]),
        frailty_loading=np.append(tables.frailty_loading, np.zeros(n)),
        deprivation_loading=np.append(tables.deprivation_loading, np.zeros(n)),
        pair_start=np.append(tables.pair_start, P + np.arange(n)), pair_count=np.append(tables.pair_count, [1] * n),
        pair_group=np.append(tables.pair_group, len(tables.groups) + np.arange(n)),
        log_untreated=np.concatenate([tables.log_untreated, np.full((n, 2 * len(AGES)), np.log1p(-MOST))]),
    )


def latent_shifts(tables: IllnessTables, latent_sd: np.ndarray, seed: int, centre_ids: tuple[str, ...],
                  deprivation: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How a centre's logit prevalence differs from the region's, shape (K, D), list-weighted mean 0 per disease.

    ``latent_sd`` (D,) is the SD over centres beyond deprivation.
    """
    own = np.stack([by_name(f"latent prevalence {name}", seed, centre_ids) for name in tables.diseases], axis=1)
    own -= np.average(own, axis=0, weights=weight)
    return deprivation[:, None] * tables.deprivation_loading + latent_sd * own


def shifts_of_cv(tables: IllnessTables, shift: np.ndarray, cv: float, weight: np.ndarray) -> np.ndarray:
    """``shift`` (K, D) stretched so that the prevalence of every disease has the same CV over centres.

    Small changes of a logit by x change a prevalence p by the factor 1 + (1 − p)x; 1 − p is averaged over cases.
    """
    cases = tables.prevalence * single_age_population()
    free = 1 - (cases * tables.prevalence).sum(axis=(1, 2)) / cases.sum(axis=(1, 2))
    return cv * standardised(shift, weight) / free


def group_shifts(tables: IllnessTables, shift: np.ndarray) -> np.ndarray:
    """How common what a drug group is for is at each centre: log-odds against the region, shape (K, G).

    The mean shift of its diseases, each weighted by its users.
    """
    pair_disease = np.repeat(np.arange(len(tables.diseases)), tables.pair_count)
    people = single_age_population()
    users = (-np.expm1(tables.log_untreated) * (tables.prevalence * people).reshape(len(shift[0]), -1)[pair_disease]
             ).sum(axis=1)
    out = np.zeros((len(shift), len(tables.groups)))
    np.add.at(out.T, tables.pair_group, (users * shift[:, pair_disease]).T)
    return out / np.maximum(np.bincount(tables.pair_group, users, len(tables.groups)), 1e-12)


def centre_prevalence(tables: IllnessTables, shift: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Prevalence at one centre or k by disease, sex and age, shape (D, 2, 111) or (k, D, 2, 111).

    ``shift`` (D,) or (k, D) on the logit; ``variance`` (D,) of the shifts over centres, so that they leave the region's
    mean.
    """
    p = np.maximum(tables.prevalence, NEVER)
    level = logit(p) + (shift - 0.5 * variance)[..., None, None] + (variance[:, None, None] * p)
    return np.where(tables.prevalence > 10 * NEVER, expit(level), 0.0)


def draw_liability(tables: IllnessTables, persons: Persons, streams: Streams) -> np.ndarray:
    """λF + √(1 − λ²)ε, float32, shape (n, D)."""
    loading = tables.frailty_loading.astype(np.float32)
    liability = streams.sequential("illness", len(tables.diseases), "standard_normal")
    liability *= np.sqrt(1 - loading**2)
    liability += persons.frailty.astype(np.float32)[:, None] * loading
    return liability


def thresholds(prevalence: np.ndarray) -> np.ndarray:
    """−Φ⁻¹(prevalence) of :func:`centre_prevalence`, float32, shape (k · 222, D): the disease is there where liability
    exceeds it. Rows are centre × :attr:`Persons.sex_age`."""
    k, D = prevalence.shape[:2]
    return -ndtri(prevalence.reshape(k, D, -1).transpose(0, 2, 1)).astype(np.float32).reshape(-1, D)


def use_probability(tables: IllnessTables, diseased: np.ndarray, sex_age: np.ndarray, frailty: np.ndarray
                    ) -> np.ndarray:
    """Probability that a group is used in a year, 1 − (1 − b)Π(1 − p): float64, shape (n, G)."""
    (n, D), G = diseased.shape, len(tables.groups)
    place = np.flatnonzero(diseased)
    person = place // D
    disease = place - person * D
    count = tables.pair_count.take(disease)
    row = np.repeat(person, count)
    pair = np.arange(len(row)) + np.repeat(tables.pair_start.take(disease) - (np.cumsum(count) - count), count)
    ages = tables.log_untreated.shape[1]
    unused = np.bincount(row * G + tables.pair_group.take(pair),
                         weights=tables.log_untreated.take(pair * ages + sex_age.take(row)), minlength=n * G)
    unused = unused.astype(np.float64, copy=False)  # where nobody is ill numpy counts in whole numbers
    unused = np.exp(unused, out=unused).reshape(n, G)
    loading = tables.background_loading
    needed = ndtri(np.maximum(tables.background, NEVER)).T.take(sex_age, axis=0) + frailty[:, None] * loading
    unused[:, tables.background_group] *= 1 - ndtr(needed / np.sqrt(1 - loading**2))
    return np.subtract(1, unused, out=unused)


def shifted(probability: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Odds multiplied by ``odds``."""
    more = probability * odds
    return more / (1 - probability + more)
