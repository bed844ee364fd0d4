"""A simulated world as a half-year, and what nobody could see: what each centre's style is expected to cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.simulation import Scenario, simulate
from lakemedelsmodell.simulation.tables import centre_tables, data_tables, truth_tables
from lakemedelsmodell.simulation.truth import ExpectedCost

if TYPE_CHECKING:
    import pyarrow as pa

MONTHS = 6
"""The truth's expected costs are for half a year."""


def drawn_world(scenario: Scenario, *, scale: float = 1.0, seed: int | None = None, workers: int = 2,
                progress: Callable[[str], Any] = lambda _: None) -> tuple[HalfYear, dict[str, float]]:
    """The world's four tables, checked like a region's own, and person_id → cost of style, SEK per listed month."""
    import pyarrow as pa
    from joblib import Parallel, delayed

    world = simulate(scenario, seed=seed, scale=scale).world
    expected = ExpectedCost(world)

    def draw(home: int) -> tuple[dict[str, pa.Table], pa.Table]:
        block = world.block(home)
        return data_tables(world, block, *world.costs(block, world.factors)), truth_tables(expected, block)["persons"]

    K, data, truth = world.n_centres, [], []
    for home, (tables, persons) in enumerate(Parallel(n_jobs=workers, backend="threading", return_as="generator")(
            delayed(draw)(home) for home in range(K))):
        progress(f"simulating centre {home + 1} of {K}")
        data.append(tables)
        truth.append(persons)
    all_of = {name: pa.concat_tables([tables[name] for tables in data]).unify_dictionaries() for name in data[0]}
    progress("checking the tables")
    return HalfYear.from_frames(centre_tables(world)[0], **all_of), _style(pa.concat_tables(truth))


def style_beside(data: Path) -> dict[str, float] | None:
    """The same out of the truth that ``simulate`` wrote beside its data; None where there is none."""
    import pyarrow.parquet as pq

    file = data.parent / "truth" / "persons.parquet"
    if not file.is_file() or "style_cost_sek" not in pq.read_schema(file).names:
        return None
    return _style(pq.read_table(file))


def _style(persons: pa.Table) -> dict[str, float]:
    ids, cost = (persons[name].to_numpy() for name in ("person_id", "style_cost_sek"))
    return dict(zip(ids.astype(str), (cost / MONTHS).tolist(), strict=True))
