"""Why a centre gets more or less than the month before: listings, ages, flags, amounts, what was registered late."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.payment.month import CNI_PARTS, Listed, Payment, Tariff, half_away

REASONS = ("joined", "left", "age", "lost_flags", "new_flags")
"""What happens to persons, in the order it is reckoned: who joins or leaves the list (or is listed for more or less of
the month) with all they are paid for; of the others, a new age band, flags lost, and then flags gained."""

OTHER_REASONS = ("registered_later", "amounts", "rounding")
"""What happens to no person of the month: last month known better now than when it was paid, a new amount table, and
öre from the rounding of lines."""


@dataclass(frozen=True, eq=False)
class Changes:
    """From one month's payment to the next, reason by reason.

    Attributes
    ----------
    centre_ids : shape (K,)
    persons : int64, shape (K, len(REASONS))
        Persons behind each of :data:`REASONS`.
    ore : int64, shape (K, len(REASONS))
    other : int64, shape (K, len(OTHER_REASONS))
        Öre of :data:`OTHER_REASONS`.
    before : int64, shape (K,)
        What was paid the month before, öre; ``before`` + all reasons = the payment now.
    """

    centre_ids: np.ndarray
    persons: np.ndarray
    ore: np.ndarray
    other: np.ndarray
    before: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The change of each centre's payment, öre, shape (K,)."""
        return self.ore.sum(axis=1) + self.other.sum(axis=1)

    def to_frame(self) -> pd.DataFrame:
        """Tidy: centre_id, reason, persons (null where no person of the month is behind it), ore; zeros left out."""
        persons = np.hstack([self.persons, np.zeros_like(self.other)])
        ore = np.hstack([self.ore, self.other])
        centre, reason = np.nonzero((persons > 0) | (ore != 0))
        frame = pd.DataFrame({"centre_id": self.centre_ids[centre],
                              "reason": np.array([*REASONS, *OTHER_REASONS], dtype=object)[reason],
                              "persons": persons[centre, reason], "ore": ore[centre, reason]})
        frame["persons"] = frame["persons"].astype("Int64").where(frame["reason"].isin(REASONS))
        return frame


def changes_between(before: Payment, after: Payment, paid: pd.Series | None = None,
                    as_paid: Payment | None = None) -> Changes:
    """What made the payment ``after`` differ from last month's.

    Parameters
    ----------
    before, after : Payment
        Two months by the same amount table, both as the data say today.
    paid : Series, optional
        What was really paid last month, öre by centre_id; None = ``before``.
    as_paid : Payment, optional
        Last month as the data say today by the amount table it was paid with; None = ``before``.
    """
    person_ore, units = _by_reason(before.listed, after.listed, after.tariff)
    D = math.lcm(before.listed.units_per_month, after.listed.units_per_month)
    numerator = person_ore.sum * CNI_PARTS
    if after.tariff.per_cni is not None:
        numerator = numerator + units * (after.tariff.per_cni * after.listed.care_need())[:, None]
    ore = half_away(numerator, D * CNI_PARTS)
    then = (as_paid or before).centre_ore
    was = pd.Series(then, before.centre_ids) if paid is None else paid
    closed = was[~was.index.isin(after.centre_ids) & (was != 0)].sort_index()  # paid last month, no longer a centre
    then_paid = was.reindex(before.centre_ids).fillna(0).to_numpy(np.int64)
    other = np.column_stack([then - then_paid, before.centre_ore - then,
                             after.centre_ore - before.centre_ore - ore.sum(axis=1)])
    n = len(closed)
    lost = np.column_stack([-closed.to_numpy(np.int64), *np.zeros((2, n), dtype=np.int64)])
    nobody = np.zeros((n, len(REASONS)), dtype=np.int64)
    return Changes(np.concatenate([after.centre_ids, closed.index.to_numpy(after.centre_ids.dtype)]),
                   np.vstack([person_ore.persons, nobody]), np.vstack([ore, nobody]), np.vstack([other, lost]),
                   np.concatenate([then_paid, closed.to_numpy(np.int64)]))


@dataclass(frozen=True)
class _Sums:
    persons: np.ndarray
    sum: np.ndarray


def _by_reason(before: Listed, after: Listed, tariff: Tariff) -> tuple[_Sums, np.ndarray]:
    """Per centre and reason: persons and öre × parts of a month, and parts listed more or less, int64 (K, reasons)."""
    K = len(after.centres)
    D = math.lcm(before.units_per_month, after.units_per_month)
    e0, e1 = (m.units * (D // m.units_per_month) for m in (before, after))
    key0, key1 = (m.person * K + m.centre for m in (before, after))
    _, stay0, stay1 = np.intersect1d(key0, key1, assume_unique=True, return_indices=True)
    gone, new = np.ones(len(key0), dtype=bool), np.ones(len(key1), dtype=bool)
    gone[stay0], new[stay1] = False, False

    def add_on(flags: np.ndarray) -> np.ndarray:
        return tariff.paid(flags) @ tariff.add_ons if len(tariff.add_ons) else np.zeros(len(flags), dtype=np.int64)

    pay0, pay1 = (tariff.cells[m.cell] + add_on(m.flags) for m in (before, after))
    had, has = before.flags[stay0], after.flags[stay1]
    was, kept, now = add_on(had), add_on(had & has), add_on(has)
    aged = tariff.cells[after.cell[stay1]] - tariff.cells[before.cell[stay0]]
    longer = e1[stay1] - e0[stay0]
    more, less = longer.clip(min=0), longer.clip(max=0)
    centre, e = after.centre[stay1], e1[stay1]

    persons = np.zeros((K, len(REASONS)), dtype=np.int64)
    ore, units = np.zeros_like(persons), np.zeros_like(persons)

    def add(reason: int, centre: np.ndarray, who: np.ndarray, money: np.ndarray, parts: np.ndarray) -> None:
        persons[:, reason] += np.bincount(centre[who], minlength=K)
        for total, values in ((ore, money), (units, parts)):
            np.add.at(total[:, reason], centre[who], values[who])

    none = np.zeros_like(e)
    add(0, after.centre, new, e1 * pay1, e1)
    add(1, before.centre, gone, -e0 * pay0, -e0)
    add(0, centre, more > 0, more * pay0[stay0], more)
    add(1, centre, less < 0, less * pay0[stay0], less)
    add(2, centre, after.cell[stay1] != before.cell[stay0], e * aged, none)
    add(3, centre, (had & ~has).any(axis=1), e * (kept - was), none)
    add(4, centre, (has & ~had).any(axis=1), e * (now - kept), none)
    return _Sums(persons, ore), units
