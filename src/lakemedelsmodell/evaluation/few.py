"""Amounts that fewer than five persons would set: what is paid for a cell of theirs must not be what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable
from lakemedelsmodell.data.cohort import Cohort, n_distinct
from lakemedelsmodell.facts import BAND_FROM, N_CELLS, SEXES
from lakemedelsmodell.measures.disclosure import is_few
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.settlement import newcomers


def set_by_enough(table: AmountTable, fitted: Cohort) -> AmountTable:
    """The table without amounts that one to four persons of the cohort it was fitted on have set.

    Their age band, and one nobody is listed in, gets the amount of the nearest band of the same sex with persons
    enough, the younger of two; where there is none, the mean of all. An add-on that so few hold, or an amount for so
    few newcomers, is not set and pays nothing.
    """
    persons = persons_by_age_and_sex(fitted)
    months = fitted.totals().months_by_cell.sum(axis=0).reshape(table.cells.shape)
    cells, add_ons = table.cells.copy(), table.add_ons.copy()
    known = ~np.isnan(table.cells) & (months > 0)
    enough = known & (persons >= FEWEST_PERSONS)
    for band, sex in np.argwhere((persons < FEWEST_PERSONS) & ~np.isnan(table.cells)):
        near = np.flatnonzero(enough[:, sex])
        cells[band, sex] = (table.cells[near[np.abs(near - band).argmin()], sex] if len(near) else
                            np.average(table.cells[known], weights=months[known]))
    if table.conditions and table.kind != "count":
        add_ons[is_few(fitted.persons_holding(table.rule or ""))] = np.nan
    per_newcomer = table.per_newcomer
    if per_newcomer is not None and n_distinct(fitted.person[newcomers(fitted)]) < FEWEST_PERSONS:
        per_newcomer = None
    return replace(table, cells=cells, add_ons=add_ons, per_newcomer=per_newcomer,
                   unrounded=table.unrounded and set_by_enough(table.unrounded, fitted))


def set_by_few(rows: pd.DataFrame, table: AmountTable, fitted: Cohort) -> np.ndarray:
    """Which rows of amounts (kind, name, sex, age_from) one to four persons set, bool."""
    few: set[object] = {(BAND_FROM[band], SEXES[sex])
                        for band, sex in np.argwhere(is_few(persons_by_age_and_sex(fitted)))}
    if table.rule:
        held = is_few(fitted.persons_holding(table.rule))
        few |= {name for name, so_few in zip(table.conditions, held, strict=True) if so_few}
    return np.array([((row.age_from, row.sex) if row.kind == "age_sex" else row.name) in few
                     for row in rows.itertuples(index=False)])


def persons_by_age_and_sex(cohort: Cohort) -> np.ndarray:
    """Persons by age band and sex, shape (21, 2), found once."""
    if "persons by age and sex" not in cohort.found:
        pairs = np.sort(cohort.person.astype(np.int64) * N_CELLS + cohort.cell)
        first = np.diff(pairs, prepend=-1) > 0
        cohort.found["persons by age and sex"] = np.bincount(pairs[first] % N_CELLS, minlength=N_CELLS)
    found: np.ndarray = cohort.found["persons by age and sex"]
    return found.reshape(len(BAND_FROM), len(SEXES))
