"""A drawn block as Arrow tables: the four tables a region would hand over, and the truth in tables of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakemedelsmodell.facts import SEXES
from lakemedelsmodell.simulation.population import NOT_LATER

if TYPE_CHECKING:
    from lakemedelsmodell.simulation.truth import ExpectedCost
    from lakemedelsmodell.simulation.world import Block, World

PERSONS_PER_BLOCK, BLOCKS = 100_000, 10_000
"""Person ids of a block: its centre's number × persons per block + the person's number; where a list is longer, every
further hundred thousand has ids above those of all centres."""
FEW_VALUES = frozenset({"atc", "prescriber_centre_id", "centre_id", "sex", "birth_month", "packages", "disease",
                        "date"})
"""Columns written with a dictionary."""


def centre_tables(world: World) -> tuple[pa.Table, pa.Table]:
    """The table centres, and its truth: prescribing style and how illness differs."""
    c, n = world.centres, world.n_centres
    ids = pa.array(c.centre_id[:n])
    data = pa.table({"centre_id": ids, "name": pa.array(c.name[:n]), "operator": pa.array(c.operator[:n]),
                     "cni": c.cni[:n], "rural": pa.array(c.rural[:n])})
    truth = {"centre_id": ids, "price_log_odds": world.price_style[:n], "volume_factor": world.volume_style[:n]}
    truth |= {f"initiation_log_odds_{g}": world.initiation_style[:n, j] for j, g in enumerate(world.illness.groups)}
    truth |= {f"prevalence_log_odds_{d}": world.shift[:n, j] for j, d in enumerate(world.illness.diseases)}
    return data, pa.table(truth)


def person_ids(home: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Of the persons numbered ``number`` at the centres in the rows ``home``; int64, same shape."""
    further, number = np.divmod(number.astype(np.int64), PERSONS_PER_BLOCK)
    return (further * BLOCKS + home + 1) * PERSONS_PER_BLOCK + number


def data_tables(world: World, block: Block, ddd: np.ndarray, gross: np.ndarray, region: np.ndarray
                ) -> dict[str, pa.Table]:
    """persons, listings and dispensings of one block."""
    p, li, f = block.persons, block.listings, block.fills
    centre_ids, ids = pa.array(world.centres.centre_id), person_ids(block.home, block.streams.number)
    first = int(p.birth_month.min())
    months = pa.array([f"{m // 12:04d}-{m % 12 + 1:02d}" for m in range(first, int(p.birth_month.max()) + 1)])
    return {
        "persons": pa.table({
            "person_id": ids, "sex": _coded(p.sex, pa.array(SEXES)),
            "birth_month": _coded(p.birth_month - first, months), "death_date": _dates(world, p.dies),
        }),
        "listings": pa.table({
            "person_id": ids[li.person], "centre_id": _coded(li.centre, centre_ids),
            "start_date": _dates(world, li.start), "end_date": _dates(world, li.end),
        }),
        "dispensings": pa.table({
            "person_id": ids[f.person], "date": _dates(world, f.day),
            "atc": pa.DictionaryArray.from_arrays(pa.array(f.substance, mask=block.uncoded), pa.array(world.drugs.atc)),
            "packages": pa.array(f.packages), "ddd": pa.array(ddd), "cost": pa.array(region / 100),
            "gross_price": pa.array(gross / 100),
            "prescriber_centre_id": pa.DictionaryArray.from_arrays(pa.array(f.centre, mask=f.outside), centre_ids),
            "dose_dispensed": pa.array(f.dose_dispensed), "in_base": pa.array(world.drugs.in_base[f.substance]),
        }),
    }


def truth_tables(expected: ExpectedCost, block: Block) -> dict[str, pa.Table]:
    """What nobody can see: per person frailty, intensity, the cost to expect and that of style; diseases one row each.

    Cost is for a half-year listed at average practice; style is what the centre's own is expected to add.
    """
    (gross, cost), (styled_gross, styled) = expected.both(block)
    who, disease = np.nonzero(block.diseases)
    names, ids = pa.array(expected.world.illness.diseases), person_ids(block.home, block.streams.number)
    return {
        "persons": pa.table({
            "person_id": ids, "frailty": block.persons.frailty,
            "intensity": np.exp(block.log_intensity), "expected_gross_sek": gross, "expected_cost_sek": cost,
            "style_gross_sek": styled_gross - gross, "style_cost_sek": styled - cost,
        }),
        "diseases": pa.table({"person_id": ids[who], "disease": _coded(disease, names)}),
    }


def _dates(world: World, day: np.ndarray) -> pa.Array:
    later = day == NOT_LATER
    days = pa.array(np.where(later, 0, day + world.origin).astype(np.int32), mask=later if later.any() else None)
    return days.view(pa.date32())


def _coded(index: np.ndarray, names: pa.Array) -> pa.Array:
    """Text of its own, since few rows share little."""
    return names.take(pa.array(index.astype(np.int32)))
