"""TOML files a user writes, as the pydantic models they must fit."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

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
        raise DataError([Problem(str(place), e["msg"], remedy, column=".".join(map(str, e["loc"])),
                                 value=None if isinstance(e["input"], dict) else str(e["input"]))
                         for e in error.errors()]) from None
    except (ValueError, RecursionError) as error:  # of the encoding, of TOML, of numbers or tables beyond all bounds
        raise DataError(Problem(str(place), f"not a readable TOML file: {error}", "Write key = value lines.")) from None
