"""Random streams keyed by identity: purpose × replicate × centre id, and within them person, drug group, fill.

Whatever is drawn for someone depends on who it is drawn for, never on how many others were drawn before, so that two
worlds that differ in one behaviour are alike in everything else.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from scipy.special import ndtri


def _seed(purpose: str, replicate: int, centre_id: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([replicate, crc32(purpose.encode()), crc32(centre_id.encode())])


def generator(purpose: str, replicate: int, centre_id: str = "") -> np.random.Generator:
    """A sequential stream, for draws whose number is fixed by the centre."""
    return np.random.Generator(np.random.SFC64(_seed(purpose, replicate, centre_id)))


class Keyed:
    """Uniform numbers by index: the same index gives the same number, however many are asked for."""

    def __init__(self, purpose: str, replicate: int, centre_id: str = ""):
        self._key = int(_seed(purpose, replicate, centre_id).generate_state(1, np.uint64)[0])

    def uniform(self, index: np.ndarray, draw: int = 0) -> np.ndarray:
        """Uniform on (0, 1), float64, same shape as ``index`` (integers); ``draw`` tells several per index apart.

        Steele, Lea & Flood (2014), SplitMix64: a counter times an odd constant, mixed.
        """
        z = np.asarray(index).astype(np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64((self._key + draw * 0xD1B54A32D192ED03) % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
        return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54

    def normal(self, index: np.ndarray, draw: int = 0) -> np.ndarray:
        """Standard normal, by the inverse distribution function."""
        return ndtri(self.uniform(index, draw))


def by_name(purpose: str, replicate: int, names: tuple[str, ...], draw: int = 0) -> np.ndarray:
    """One standard normal per name (of a centre), shape (len(names),)."""
    return Keyed(purpose, replicate).normal(np.array([crc32(name.encode()) for name in names]), draw)
