"""The same question for many models, side by side: numpy works outside the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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


def in_turn(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """``function`` of each item, in their order; few being computed while one is looked at."""
    workers = min(MOST, os.cpu_count() or 1)
    ahead: deque[Future[B]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            ahead.append(pool.submit(function, item))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
