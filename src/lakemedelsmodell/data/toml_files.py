"""TOML files a user writes, as the pydantic models they must fit."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from lakemedelsmodell.errors import DataError, Problem, UserError

Checked = TypeVar("Checked", bound=BaseModel)


def read_checked(model: type[Checked], place: Path | Traversable, absent: str, remedy: str) -> Checked:
    """A TOML file as the pydantic model it must fit.

    Raises UserError (``absent``) without the file, DataError (with ``remedy``) for every key that is wrong.
    """
    import tomllib

    try:
        return model.model_validate(tomllib.loads(place.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise UserError(absent) from None
    except ValidationError as error:
        raise DataError(problems(error, model, str(place), remedy)) from None
    except (ValueError, RecursionError) as error:  # of the encoding, of TOML, of numbers or tables beyond all bounds
        raise DataError(Problem(str(place), f"not a readable TOML file: {error}", "Write key = value lines.")) from None


def problems(error: ValidationError, model: type[BaseModel], file: str, remedy: str) -> list[Problem]:
    """What a model found wrong, by key; for a key it does not know the one that was probably meant."""
    found = []
    for e in error.errors():
        said = e["msg"]
        if e["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(e["loc"][-1]), known_keys(model, e["loc"][:-1]), n=1)
            said = f"is no key known here{f': perhaps {close[0]} is meant' if close else ''}"
        found.append(Problem(file, said, remedy, column=".".join(map(str, e["loc"])) or None,
                             value=None if isinstance(e["input"], dict) else str(e["input"])))
    return found


def known_keys(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Keys that may stand at a place of a model; a step that is no key is a number in a list or a name in a table."""
    here = [model]
    for step in place:
        fields = [of for m in here for key, of in _fields(m) if key == step]
        here = [m for of in fields for m in _models(of)] or here
    return sorted({key for m in here for key, _ in _fields(m)})


def _fields(model: type[BaseModel]) -> list[tuple[str, Any]]:
    """Key as a file writes it, and type."""
    return [(of.alias or name, of.annotation) for name, of in model.model_fields.items()]


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Models in a type such as ``dict[str, A | B]``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
