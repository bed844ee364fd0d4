"""Random streams keyed by identity: purpose × replicate × centre id, and within them person, drug group, fill.

Whatever is drawn for someone depends on who it is drawn for, never on how many others were drawn before, so that two
worlds that differ in one behaviour are alike in everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal
from zlib import crc32

import numpy as np
from scipy.special import ndtri


def _seed(purpose: str, replicate: int, centre_id: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([replicate, crc32(purpose.encode()), crc32(centre_id.encode())])


def generator(purpose: str, replicate: int, centre_id: str = "") -> np.random.Generator:
    """A sequential stream, for draws whose number is fixed by the centre."""
    return np.random.Generator(np.random.SFC64(_seed(purpose, replicate, centre_id)))


ODD = np.uint64(0x9E3779B97F4A7C15)
"""How far the counters of neighbouring indices lie apart."""


def uniform(counter: np.ndarray, draw: int = 0) -> np.ndarray:
    """Uniform on (0, 1), float64, by ``counter`` (uint64, same shape); ``draw`` tells several per counter apart.

    Steele, Lea & Flood (2014), SplitMix64: a counter, that is index times an odd constant plus key, mixed.
    """
    z = counter + np.uint64(draw * 0xD1B54A32D192ED03 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    z >>= np.uint64(11)
    drawn = z.astype(np.float64)
    drawn *= 2.0**-53
    drawn += 2.0**-54
    return drawn


class Keyed:
    """Uniform numbers by index: the same index gives the same number, however many are asked for."""

    def __init__(self, purpose: str, replicate: int, centre_id: str = ""):
        self.key = int(_seed(purpose, replicate, centre_id).generate_state(1, np.uint64)[0])

    def uniform(self, index: np.ndarray, draw: int = 0) -> np.ndarray:
        """Uniform on (0, 1), float64, same shape as ``index`` (integers); ``draw`` tells several per index apart."""
        return uniform(np.asarray(index).astype(np.uint64) * ODD + np.uint64(self.key), draw)

    def normal(self, index: np.ndarray, draw: int = 0) -> np.ndarray:
        """Standard normal, by the inverse distribution function."""
        return ndtri(self.uniform(index, draw))


@dataclass(frozen=True, eq=False)
class Streams:
    """The streams of several centres side by side, their n persons numbered through: each draws as she would alone.

    Attributes
    ----------
    replicate : int
    centre_ids : tuple of str, shape (k,)
    persons : int64, shape (k,)
        How many persons each centre has.
    """

    replicate: int
    centre_ids: tuple[str, ...]
    persons: np.ndarray

    @cached_property
    def number(self) -> np.ndarray:
        """Each person's number at her own centre, int64, shape (n,)."""
        return np.arange(self.persons.sum()) - np.repeat(np.cumsum(self.persons) - self.persons, self.persons)

    def sequential(self, purpose: str, width: int, kind: Literal["random", "standard_normal"]) -> np.ndarray:
        """``width`` numbers per person from her centre's :func:`generator`, float32, shape (n, width)."""
        out = np.empty((len(self.number), width), dtype=np.float32)
        for centre_id, end, n in zip(self.centre_ids, np.cumsum(self.persons), self.persons, strict=True):
            getattr(generator(purpose, self.replicate, centre_id), kind)(out=out[end - n:end], dtype=np.float32)
        return out

    def keyed(self, purpose: str) -> KeyedPersons:
        keys = [Keyed(purpose, self.replicate, centre_id).key for centre_id in self.centre_ids]
        return KeyedPersons(np.repeat(np.array(keys, dtype=np.uint64), self.persons), self.number)


@dataclass(frozen=True, eq=False)
class KeyedPersons:
    """:class:`Keyed` of each person's own centre: ``key`` uint64 and ``number`` int64, shape (n,)."""

    key: np.ndarray
    number: np.ndarray

    def counter(self, person: np.ndarray, per: int = 1, which: np.ndarray | int = 0) -> np.ndarray:
        """For :func:`uniform`, at the index number × ``per`` + ``which`` of each of ``person``; uint64, same shape."""
        return (self.number.take(person) * per + which).astype(np.uint64) * ODD + self.key.take(person)

    def of_all(self, draw: int = 0) -> np.ndarray:
        """A uniform number for each person, shape (n,)."""
        return uniform(self.number.astype(np.uint64) * ODD + self.key, draw)


def by_name(purpose: str, replicate: int, names: tuple[str, ...], draw: int = 0) -> np.ndarray:
    """One standard normal per name (of a centre), shape (len(names),)."""
    return Keyed(purpose, replicate).normal(_hashes(names), draw)


@cache
def _hashes(names: tuple[str, ...]) -> np.ndarray:
    return np.array([crc32(name.encode()) for name in names])
