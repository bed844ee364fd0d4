"""Stretches of time at a centre: who is where on which day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Stretches:
    """S stretches [start, end), sorted by person and start; none of a person's overlap.

    Attributes
    ----------
    person, centre : int, shape (S,)
    born : int, shape (S,)
        The person's month of birth, calendar months since January 1970.
    start, end : int, shape (S,)
        Days since ``rows.DAY_ZERO``.
    """

    person: np.ndarray
    centre: np.ndarray
    born: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, person: np.ndarray, centre: np.ndarray, born: np.ndarray, start: np.ndarray, end: np.ndarray
           ) -> Stretches:
        """Those that hold a day, in order."""
        some = np.flatnonzero(start < end)
        order = some[np.argsort((person[some].astype(np.int64) << 32) + start[some], kind="stable")]  # often in order
        return cls(person[order], centre[order], born[order], start[order], end[order])

    def write(self, path: Path) -> None:
        np.save(path, np.stack([getattr(self, f.name) for f in fields(self)]))

    @classmethod
    def read(cls, path: Path) -> Stretches:
        """What :meth:`write` wrote."""
        return cls(*np.load(path))

    def persons(self, first: int, n: int) -> Stretches:
        """Those of persons ``first`` … ``first + n - 1``, numbered from 0."""
        a, b = np.searchsorted(self.person, [first, first + n])
        cut = {f.name: getattr(self, f.name)[a:b] for f in fields(self)}
        return Stretches(**cut | {"person": cut["person"] - first})

    def days(self, window: tuple[int, int]) -> np.ndarray:
        """Days of each stretch in ``window`` [from, to), shape (S,)."""
        return np.maximum(np.minimum(self.end, window[1]) - np.maximum(self.start, window[0]), 0)

    def at(self, person: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Place of the stretch in which each person's day lies, −1 where none does; shape of ``person``."""
        if not len(self.person):
            return np.full(len(person), -1, dtype=np.int64)
        ends = np.cumsum(np.bincount(self.person, minlength=int(person.max(initial=0)) + 1))
        last = ends[person] - 1
        place = last.copy()
        later = np.flatnonzero(self.start[place] > day)
        while len(later):  # most have one stretch only
            place[later] -= 1
            here = place[later]
            later = later[(here >= 0) & (self.person[here] == person[later]) & (self.start[here] > day[later])]
        there = (place >= 0) & (self.person[place] == person) & (self.start[place] <= day) & (day < self.end[place])
        return np.where(there, place, -1)
