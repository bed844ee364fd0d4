"""The same question for many models, side by side: numpy works outside the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST = 4
AT_ONCE = 1 << 23
"""Rows that the threads work on together: of more than this each may hold several columns of its own."""
A = TypeVar("A")
B = TypeVar("B")


def of_each(function: Callable[[A], B], items: Iterable[A], rows: int = 0) -> Sequence[B]:
    """``function`` of each item, in their order; each is computed by one thread, so the bytes are those of a loop.

    With many ``rows`` in each, fewer at a time, down to one.
    """
    items = list(items)
    workers = min(MOST, os.cpu_count() or 1, len(items), AT_ONCE // max(rows, 1))
    if workers < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))
