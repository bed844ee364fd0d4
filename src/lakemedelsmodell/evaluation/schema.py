"""The form of results.json: its JSON Schema, held against what is written and what is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell.errors import DataError, Problem

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

RESULTS = "results.json"


@cache
def results_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of results.json, schema 1."""
    place = resources.files("lakemedelsmodell.evaluation").joinpath("results.schema.json")
    return json.loads(place.read_text(encoding="utf-8"))


def departures(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(place, what is wrong there) wherever results are not as the schema says, in the order of the place."""
    return sorted((_place(error.instance_path), error.message[:200]) for error in _validator().iter_errors(results))


@cache
def _validator() -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # jsonschema spends seconds on the grammar of IRIs, unused here

    return Draft202012Validator(results_schema())


def _place(keys: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)


def check_results(results: Mapping[str, Any]) -> None:
    """Raises ValueError where results about to be written are not as documented: a fault of the program."""
    if wrong := departures(results):
        raise ValueError("results.json would not be as its schema says: "
                         + "; ".join(f"{place}: {what}" for place, what in wrong[:5]))


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of a run folder.

    Raises DataError where it is missing, damaged or not of this schema.
    """
    file = folder / RESULTS
    remedy = "Give the folder of a run, or make the run again."
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        wrong = departures(results)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(Problem(str(file), f"cannot be read: {error}", remedy)) from None
    if wrong:
        raise DataError([Problem(str(file), what, remedy, column=place) for place, what in wrong])
    return results
