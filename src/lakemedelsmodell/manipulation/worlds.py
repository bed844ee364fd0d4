"""A simulated world as a half-year, and what nobody could see: what each centre's style is expected to cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.simulation import Scenario, simulate
from lakemedelsmodell.simulation.tables import centre_tables, data_tables, person_ids

MONTHS = 6
"""The truth's expected costs are for half a year."""


def drawn_world(scenario: Scenario, *, scale: float = 1.0, seed: int | None = None, workers: int = 2,
                progress: Callable[[str], Any] = lambda _: None) -> tuple[HalfYear, dict[Any, float]]:
    """The world's four tables, checked like a region's own, and person_id → cost of style, SEK per listed month."""
    import pyarrow as pa
    from joblib import Parallel, delayed

    world = simulate(scenario, seed=seed, scale=scale).world

    def draw(home: int) -> tuple[dict[str, pa.Table], np.ndarray, np.ndarray]:
        block = world.block(home)
        ddd, gross, region = world.costs(block, world.factors)
        usual, styled = (cost / MONTHS for _, cost in world.expected.both(block))
        return data_tables(world, block, ddd, gross, region), person_ids(block, np.arange(len(usual))), styled - usual

    K = world.n_centres
    parts = []
    for home, part in enumerate(Parallel(n_jobs=workers, backend="threading", return_as="generator")(
            delayed(draw)(home) for home in range(K))):
        progress(f"simulating centre {home + 1} of {K}")
        parts.append(part)
    tables = {"centres": centre_tables(world)[0],
              **{name: pa.concat_tables([p[0][name] for p in parts]).unify_dictionaries() for name in parts[0][0]}}
    style = {str(person): float(sek) for _, ids, values in parts for person, sek in zip(ids, values, strict=True)}
    progress("checking the tables")
    return HalfYear.from_frames(**tables), style
