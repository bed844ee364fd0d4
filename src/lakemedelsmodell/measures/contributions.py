"""What a centre's reimbursement is made of: so much for each age and sex, for each condition, from the pool."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.measures.disclosure import is_few, merged, persons_by_centre
from lakemedelsmodell.settlement import Settlement, adds_up, pooled_cost

COLUMNS = ("centre_id", "model", "kind", "name", "sex", "age_from", "listed_months", "sek")
"""Columns of contributions.csv, in order."""


def contributions(settlement: Settlement, table: AmountTable, cohort: Cohort) -> pd.DataFrame:
    """Each centre's reimbursement as rows that sum to it, to the öre.

    An amount brings φ × amount × listed months of those it is paid for; the pool what :class:`Settlement` says. Öre go
    to the largest remainders within the centre. What fewer than five persons of a centre stand behind is merged, with
    the smallest of the others, into one row ``few``, of at least five amounts.

    Parameters
    ----------
    settlement : of ``table`` on ``cohort``
    table : a table whose amounts add up (:func:`~lakemedelsmodell.settlement.adds_up`)
    cohort : Cohort of the paid period

    Returns
    -------
    DataFrame, columns :data:`COLUMNS`: kind ``age_sex``, ``condition``, ``pool`` or ``few``; name, sex and age_from as
    in amounts.csv; listed_months of those paid for (nan for pool and few); sek over the period.

    Raises UserError for amounts that do not add up.
    """
    if not adds_up(table):
        raise UserError(f"What {table.model} pays a centre is not a sum over its amounts.")
    K = cohort.n_centres
    totals = cohort.totals(table.rule)
    persons = [_persons_by_cell(cohort)]
    hidden = [merged(persons[0])]
    months, amounts = totals.months_by_cell, table.cells.reshape(-1)
    if table.conditions:
        persons.append(_persons_by_condition(cohort, table.rule or ""))
        hidden.append(merged(persons[1]))
        months = np.hstack([months, totals.flagged_months])
        amounts = np.concatenate([amounts, table.add_ons])
    ore = 100 * settlement.phi * months * np.nan_to_num(amounts)
    if settlement.pool_sek is not None and table.pool_threshold is not None:
        persons.append(persons_by_centre(cohort, pooled_cost(cohort, table.pool_threshold) > 0)[:, None])
        few = is_few(persons[-1])
        # The pool has but one row of its kind: where nothing is merged that it could join, the fewest amounts join it.
        alone: np.ndarray = few[:, 0] & ~np.hstack(hidden).any(axis=1)
        hidden[0] = merged(persons[0], also=alone)
        hidden.append(few)
        months = np.hstack([months, np.full((K, 1), np.nan)])
        ore = np.hstack([ore, 100 * settlement.pool_sek[:, None]])

    there, few = np.hstack(persons) > 0, np.hstack(hidden)
    shown = np.hstack([there & ~few, few.any(axis=1, keepdims=True)])
    ore = np.hstack([ore, (ore * few).sum(axis=1, keepdims=True)])
    whole = _to_the_ore(ore, shown, settlement.reimbursement_ore)
    labels = table.to_frame()[["kind", "name", "sex", "age_from"]].astype(object)
    labels = labels.where(labels.notna(), None)
    labels.loc[len(labels)] = ["few", "few", None, None]
    centre, row = np.nonzero(shown)
    frame = labels.iloc[row].reset_index(drop=True).assign(
        centre_id=settlement.centre_ids[centre], model=settlement.model,
        listed_months=np.hstack([months, np.full((K, 1), np.nan)])[shown], sek=whole[shown] / 100)
    return frame[list(COLUMNS)]


def _persons_by_cell(cohort: Cohort) -> np.ndarray:
    """Persons per centre and age × sex, shape (K, 42), found once: a row is a person's only one in its centre and band.
    """
    K = cohort.n_centres
    return cohort.once("persons by cell", lambda: np.bincount(
        cohort.centre * np.int64(N_CELLS) + cohort.cell, minlength=K * N_CELLS).reshape(K, N_CELLS))


def _persons_by_condition(cohort: Cohort, rule: str) -> np.ndarray:
    """Persons per centre and condition, shape (K, C), found once."""
    return cohort.once(f"persons by condition {rule}", lambda: np.column_stack(
        [persons_by_centre(cohort, rows) for rows in cohort.holders(rule)]))


def _to_the_ore(ore: np.ndarray, shown: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Whole öre per row that sum to ``total`` (K,): what is left over goes to the largest remainders, int64 (K, J)."""
    whole = np.floor(np.where(shown, ore, 0.0))
    order = np.argsort(np.where(shown, -(ore - whole), np.inf), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    left = total - whole.sum(axis=1).astype(np.int64)
    return whole.astype(np.int64) + np.sign(left)[:, None] * (rank < np.abs(left)[:, None])
