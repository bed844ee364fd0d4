"""The packaged tables, checked row by row: a key nobody knows, a value out of range or a missing source is refused."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

PROFILE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80-89", "90+")
"""The ten-year bands of a profile, in the order of its age axis."""

PROFILE_CELLS = tuple(f"{sex}_{band}" for sex in "KM" for band in PROFILE_BANDS)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split())


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("may not be empty")
    return text


Text = Annotated[str, AfterValidator(_not_blank)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Profile = Annotated[tuple[NonNegative, ...], Field(min_length=len(PROFILE_CELLS), max_length=len(PROFILE_CELLS))]
PerThousand = Annotated[tuple[Annotated[float, Field(ge=0, le=1000)], ...], Field(min_length=20, max_length=20)]
Sex = Literal["K", "M"]
Theme = Literal["diabetes", "cardiovascular", "anticoagulation", "inflammatory", "cancer", "other"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Strict):
    """What ``sources.toml`` says of a table; date, source and confidence only where all rows share them."""

    title: Text
    units: Mapping[str, Text]
    valid_from: date | None = None
    source: Text | None = None
    confidence: Text | None = None


class Row(Strict):
    """One row, with what holds for the whole table filled in."""

    valid_from: date


class SourcedRow(Row):
    source: Text
    confidence: Text


class AgeSexAmount(SourcedRow):
    year: int
    sex: Sex
    age_from: int
    age_to: int | None
    sek_per_month: Annotated[int, Field(gt=0)]
    cost_responsibility: Share


class CostResponsibility(SourcedRow):
    cost_responsibility: Share


class FeeStep(SourcedRow):
    up_to_gross_sek: Annotated[int, Field(gt=0)]
    patient_share_percent: Annotated[int, Field(ge=0, le=100)]
    cap_sek: Annotated[int, Field(gt=0)]


class ListedPopulation(SourcedRow):
    age_band: str
    sex: Sex
    population: int
    listed: int
    scb_10yr_band: str
    scb_10yr_band_total: int
    split_error: Text


class DrugGroup(Row):
    """A group of drugs by ATC, with its users and costs in Skåne.

    ``prev_per_1000`` holds users per 1000 inhabitants, women by ten-year band, then men. A group without
    ``atc_include`` is all other drugs. ``model_use`` is how it was first suggested to serve a payment model.
    """

    drug_group: Text
    name_sv: Text
    atc_include: Words
    atc_exclude: Words
    model_use: Text
    prev_per_1000: PerThousand
    prev_per_1000_all_skane: NonNegative
    persons_skane: int
    cost_gross_aup_sek_per_person_year_2025: Positive
    share_in_base_assumed: Share
    gross_bas_msek_skane: NonNegative
    dispensings_per_half_year: Positive
    ddd_per_dispensing: Positive
    persistence_1y: Share
    source_confidence_prevalence: Text
    source_confidence_cost: Text
    source_confidence_other: Text
    note: str | None


class Substance(SourcedRow):
    drug_group: Text
    atc: Annotated[str, Field(pattern=r"^[A-Z]\d{2}[A-Z]{2}\d{2}$")]
    substance_sv: Text
    share_of_ddd_in_group: Share
    price_per_ddd_sek_2025: Positive
    ddd_per_pack_common: Positive
    packs_per_fill: Positive
    recommended: bool
    price_index_2024H2: Positive
    price_index_2025H1: Positive
    price_index_2025H2: Positive
    price_index_2026H1: Positive
    generic_from: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] | None
    in_base: bool
    ddd_per_person_year: Positive
    share_of_fills_in_group: Share
    pack_price_aup_sek_2025: Positive
    note: str | None


class Disease(SourcedRow):
    disease: Text
    name_sv: Text
    prev_per_1000: PerThousand
    frailty_loading: Annotated[float, Field(ge=-1, le=1)]
    deprivation_loading: float
    half_life_years: Positive
    persistence_1y: Share
    prevalence_from: Text


class DiseaseDrug(SourcedRow):
    """A drug group given a disease (``p_treat`` × ``mod``), or, for the disease ``background``, its use without one."""

    disease: Text
    drug_group: Text
    p_treat: Share | None
    frailty_loading: Annotated[float, Field(ge=-1, le=1)] | None
    age_mod: Literal["no", "yes"] | None
    mod: Profile | None
    bg_per_1000: PerThousand | None
    why: Text


class CostCalibration(SourcedRow):
    drug_group: Text
    old_cost: Positive
    new_cost: Positive
    ratio: Positive
    ratio_specific: Positive
    cv_intensity_assumed: Positive
    why: Text


class AgeCostFactor(SourcedRow):
    age: NonNegative
    factor: Positive
    why: Text


class Marker(SourcedRow):
    """A drug group as a condition, with the thresholds it has under the rule ``listed``."""

    condition: Text
    label_sv: Text
    label_en: Text
    theme: Theme
    in_narrow: bool
    min_dates: Annotated[int, Field(ge=1)] | None
    min_days_apart: Annotated[int, Field(ge=0)] | None
    min_ddd: Positive | None
    yields_to: Words


R = TypeVar("R", bound=Row)


@cache
def about() -> Mapping[str, About]:
    """Title, units, date, source and confidence of every packaged table."""
    text = resources.files(__package__).joinpath("sources.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, About]).validate_python(tomllib.loads(text))


def fold_profiles(row: Mapping[str, str | None]) -> dict[str, Any]:
    """``prev_per_1000_K_0-9`` … ``prev_per_1000_M_90+`` as one tuple ``prev_per_1000`` (None where all are empty)."""
    folded: dict[str, Any] = {}
    for column, value in row.items():
        if m := re.fullmatch(r"(.+)_([KM]_\d+(?:-\d+|\+))", column):
            folded.setdefault(m[1], {})[m[2]] = value
        else:
            folded[column] = value
    for name, cells in folded.items():
        if isinstance(cells, dict):
            if tuple(cells) != PROFILE_CELLS:
                raise ValueError(f"the columns {name}_… are not {PROFILE_CELLS}")
            folded[name] = None if set(cells.values()) == {None} else tuple(cells.values())
    return folded


def checked_rows(model: type[R], table: About, lines: Sequence[Mapping[str, str | None]]) -> tuple[R, ...]:
    """Every line as a ``model``; pydantic.ValidationError on an unknown, missing, doubly given or impossible value."""
    common = table.model_dump(include={"valid_from", "source", "confidence"}, exclude_none=True)
    if doubly := common.keys() & (lines[0].keys() if lines else ()):
        raise ValueError(f"{sorted(doubly)} are given both in sources.toml and in the table")
    return tuple(model.model_validate({**fold_profiles(line), **common}) for line in lines)


@cache
def read_rows(name: str, model: type[R]) -> tuple[R, ...]:
    """The packaged table ``name``.csv, in its own order. An empty field is unknown: None."""
    text = resources.files(__package__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    lines = [{column: value or None for column, value in line.items()} for line in csv.DictReader(text.splitlines())]
    return checked_rows(model, about()[name], lines)


ROW_MODELS: Mapping[str, type[Row]] = {
    "age_sex_table": AgeSexAmount, "cost_responsibility": CostResponsibility, "fee_staircases": FeeStep,
    "listed_population": ListedPopulation, "drug_groups": DrugGroup, "substances": Substance, "diseases": Disease,
    "disease_drugs": DiseaseDrug, "cost_calibration": CostCalibration, "age_cost_factors": AgeCostFactor,
    "markers": Marker,
}

PROFILES = ("prev_per_1000", "bg_per_1000", "mod")
