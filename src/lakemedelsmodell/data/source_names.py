"""What tables and columns are called in a database of one's own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SourceNames(BaseModel):
    """The section [source] of the settings.

    ``tables`` maps centres, persons, listings, dispensings and base_drugs onto names such as ``dbo.uttag``; ``columns``
    is written like columns.toml, with a section per table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, str] = {}
    columns: dict[str, str | dict[str, str]] = {}
