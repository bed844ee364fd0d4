"""How a half-year is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lakemedelsmodell.data.source_names import SourceNames

Progress = Callable[[str], None]
"""Called with what is being done, each time something new begins."""


def quiet(what: str) -> None:
    """The progress of a run nobody watches."""


class Settings(BaseModel):
    """How a half-year is evaluated; every default is the headline choice of design.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cost_base: Literal["benefit_cost", "gross_price"] = "benefit_cost"
    borne_by: Literal["listing", "prescriber"] = "listing"
    months: Literal["snapshot", "days"] = "snapshot"
    lookback_months: int = Field(12, ge=1, le=36)
    condition_set: str = Field("skane_wide", max_length=255)
    budget: Literal["cost", "published"] | float = "cost"
    cost_responsibility: float | None = Field(None, gt=0, le=1)
    published_year: int | None = None
    table_period: int | None = None
    """Calendar year whose statistics set the published table; None = the year before it. [assumed]"""
    period: str | None = None
    resamples: int = Field(2000, ge=100, le=100_000)
    seed: int = Field(20260507, ge=0)
    source: SourceNames | None = Field(None, exclude=True)
    """Names in a database; where the data lie is no part of the results."""

    @field_validator("budget")
    @classmethod
    def _positive(cls, value: str | float) -> str | float:
        if not isinstance(value, str) and not (0 < value < float("inf")):
            raise ValueError("a budget in SEK must be above 0")
        return value
