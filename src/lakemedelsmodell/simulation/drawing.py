"""A world drawn block by block, one block per centre, and handed over as the four tables.

Blocks come in the order of the centres whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.simulation import tables
from lakemedelsmodell.simulation.scenario import Scenario, load_scenario
from lakemedelsmodell.simulation.truth import ExpectedCost
from lakemedelsmodell.simulation.world import World

if TYPE_CHECKING:
    import pyarrow as pa

    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.simulation.calibration import Tally

Progress = Callable[[str], None]


def simulate(scenario: Scenario | str | Path = "skane_2026h1", *, seed: int | None = None, scale: float = 1.0,
             centres: int | None = None, workers: int = 2, progress: Progress | None = None) -> Simulation:
    """A world ready to be written or read into memory; nothing is drawn before.

    Parameters
    ----------
    scenario : Scenario, the name of a shipped world, or a file
    seed : another draw of the same world; None = the scenario's own
    scale : persons per centre as a share of the full number; all centres stay
    centres : only the first so many centres, each as it is in the full world but for those who move there
    workers : threads; the result is the same with any number
    progress : called with one line on what is being done

    Raises UserError for a scale, number of centres or scenario that cannot be.
    """
    scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    if not 1e-5 <= scale <= 10:
        raise UserError(f"scale {scale:g} is no share of the population that can be drawn. Give a number from 0.00001 "
                        "to 10; 1 is full size.")
    if centres is not None and not 1 <= centres <= scenario.population.centres:
        raise UserError(f"the scenario has {scenario.population.centres} centres, not {centres}. "
                        "Ask for 1 to that many.")
    world = World(scenario, scenario.seed if seed is None else seed, scale,
                  scenario.population.centres if centres is None else centres)
    if empty := sum(not cells.any() for cells in world.centres.persons[:world.n_centres]):
        raise UserError(f"scale {scale:g} leaves {empty} of {world.n_centres} centres without persons. "
                        "Give a larger one.")
    return Simulation(world, workers, progress)


class Simulation:
    """One draw of a world. ``write`` streams it to Parquet; ``tables`` gives it in memory; both give the same rows.

    Attributes: ``scenario``, ``seed``, ``scale``, ``world``.
    """

    def __init__(self, world: World, workers: int = 2, progress: Progress | None = None):
        self.world, self.scenario, self.seed, self.scale = world, world.scenario, world.seed, world.scale
        self._workers, self._progress = workers, progress or (lambda _: None)
        self._tally: Tally | None = None

    def __repr__(self) -> str:
        return (f"Simulation of {self.scenario.name}, seed {self.seed}, scale {self.scale:g}, "
                f"{self.world.n_centres} centres")

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"

    def _drawn(self) -> Iterator[tuple[dict[str, pa.Table], dict[str, pa.Table]]]:
        """Data and truth of each block, centre by centre; what the calibration report needs is summed on the way."""
        from joblib import Parallel, delayed

        from lakemedelsmodell.simulation.calibration import Tally

        expected = ExpectedCost(self.world)

        def draw(home: int) -> tuple[dict[str, pa.Table], dict[str, pa.Table], Tally]:
            block = self.world.block(home)
            ddd, gross, region = self.world.costs(block, self.world.factors)
            return (tables.data_tables(self.world, block, ddd, gross, region), tables.truth_tables(expected, block),
                    Tally.of(self.world, block, gross, region))

        K = self.world.n_centres
        tally: Tally | None = None
        parallel = Parallel(n_jobs=self._workers, backend="threading", return_as="generator", pre_dispatch="2 * n_jobs")
        for home, (data, hidden, part) in enumerate(parallel(delayed(draw)(home) for home in range(K))):
            self._progress(f"simulating centre {home + 1} of {K}")
            tally = part if tally is None else tally + part
            yield data, hidden
        self._tally = tally

    def write(self, data: Path, truth: Path) -> None:
        """Stream the four tables to ``data`` and the truth behind them to ``truth`` (folders are made), as Parquet."""
        import pyarrow.parquet as pq

        for folder in (data, truth):
            folder.mkdir(parents=True, exist_ok=True)
        centres, centres_truth = tables.centre_tables(self.world)
        pq.write_table(centres, data / "centres.parquet")
        pq.write_table(centres_truth, truth / "centres.parquet")
        writers: dict[Path, pq.ParquetWriter] = {}
        try:
            for of_data, of_truth in self._drawn():
                for folder, named in ((data, of_data), (truth, of_truth)):
                    for name, table in named.items():
                        path = folder / f"{name}.parquet"
                        if path not in writers:
                            writers[path] = pq.ParquetWriter(
                                path, table.schema, compression="snappy",
                                use_dictionary=[f.name for f in table.schema if f.name in tables.FEW_VALUES])
                        writers[path].write_table(table, row_group_size=1 << 20)
        finally:
            for writer in writers.values():
                writer.close()

    def tables(self) -> dict[str, pa.Table]:
        """The four tables in memory, by name: centres, persons, listings, dispensings."""
        import pyarrow as pa

        blocks = [data for data, _ in self._drawn()]
        return {"centres": tables.centre_tables(self.world)[0],
                **{name: pa.concat_tables([b[name] for b in blocks]).unify_dictionaries() for name in blocks[0]}}

    def half_year(self) -> HalfYear:
        """The four tables in memory, checked like a region's own files."""
        from lakemedelsmodell.data.tables import HalfYear

        return HalfYear.from_frames(**self.tables())

    def calibration_report(self) -> dict[str, Any]:
        """How the world lies to what is published and known; draws it unless it has been written or read already."""
        if self._tally is None:
            for _ in self._drawn():
                pass
        assert self._tally is not None
        return self._tally.report(self.world)
