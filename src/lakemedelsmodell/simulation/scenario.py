"""A scenario: everything one simulated world assumes, read from a TOML file that a person can read too."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from html import escape
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.data.toml_files import problems
from lakemedelsmodell.errors import DataError, Problem, UserError, unknown_name
from lakemedelsmodell.facts import BAND_FROM, diseases, drug_groups

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Knots = Annotated[tuple[NonNegative, ...], Field(min_length=2)]
Factors = Annotated[tuple[Positive, ...], Field(min_length=len(BAND_FROM), max_length=len(BAND_FROM))]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Section(Strict):
    """Parameters, each with its unit, source and confidence in ``about``."""

    about: Mapping[str, str]

    def __hash__(self) -> int:
        return hash(tuple(value for name, value in self if name != "about"))

    @model_validator(mode="after")
    def _all_explained(self) -> Section:
        parameters = set(type(self).model_fields) - {"about"}
        if missing := sorted(parameters - set(self.about)):
            raise ValueError(f"{', '.join(missing)}: not explained in 'about' (unit, source, confidence)")
        if unknown := sorted(set(self.about) - parameters):
            raise ValueError(f"{', '.join(unknown)}: explained in 'about', but no such parameter")
        return self


class Window(Section):
    start: date
    months: Annotated[int, Field(ge=6)]

    @property
    def end(self) -> date:
        """Exclusive."""
        return add_months(self.start, self.months)


class Population(Section):
    centres: Annotated[int, Field(ge=2)]
    list_size_log_sd: NonNegative
    list_size_min: Positive
    list_size_max: Positive
    old_tilt_sd: NonNegative
    young_tilt_sd: NonNegative
    cni_log_sd: NonNegative
    cni_old_slope: Annotated[float, Field(ge=-1, le=1)]
    public_share: Share
    rural_centres: Annotated[int, Field(ge=0)]
    births_per_1000_women_15_49: NonNegative
    death_age: Knots
    death_per_1000_K: Knots
    death_per_1000_M: Knots
    death_frailty: float
    leave_age: Knots
    leave_per_1000: Knots
    move_age: Knots
    move_per_1000: Knots


class Illness(Section):
    latent_prevalence_sd: NonNegative
    latent_prevalence_sd_of: Mapping[str, NonNegative]

    @model_validator(mode="after")
    def _known_diseases(self) -> Illness:
        if unknown := sorted(set(self.latent_prevalence_sd_of) - set(diseases()["disease"])):
            raise ValueError(f"no such disease: {', '.join(unknown)}")
        return self


class Groups(Strict):
    dose_dispensed: tuple[str, ...]
    specialist: tuple[str, ...]
    always_free: tuple[str, ...]
    free_under_21: tuple[str, ...]


class Prescribing(Section):
    shared_intensity_sd: NonNegative
    tail: NonNegative
    rate_bounds: tuple[Positive, Positive]
    price_share_of_intensity: Share
    refill_jitter: Annotated[float, Field(ge=0, lt=0.5)]
    dose_dispensed_share: Share
    dose_dispensed_frailty: float
    dose_dispensed_age: float
    dose_dispensed_min_age: Annotated[int, Field(ge=0)]
    weekend_share: Share
    holiday_share: Share
    outside_prescriber_share: Share
    outside_prescriber_share_specialist: Share
    several_drugs: Mapping[str, Annotated[float, Field(ge=1, le=2)]]
    groups: Groups

    @model_validator(mode="after")
    def _known_groups(self) -> Prescribing:
        known = {group.drug_group for group in drug_groups()}
        named = {*self.several_drugs, *(name for names in self.groups.model_dump().values() for name in names)}
        if unknown := sorted(named - known):
            raise ValueError(f"no such drug group: {', '.join(unknown)}")
        return self


class Style(Section):
    price_sd: NonNegative
    volume_sd: NonNegative
    initiation_sd: NonNegative
    initiation_group_sd: NonNegative


class PriceChange(Strict):
    atc: str
    from_: Annotated[date, Field(alias="from")]
    index: Positive


class Prices(Section):
    floor_sek_per_pack: NonNegative
    monthly_sd: NonNegative
    drift: bool
    changes: tuple[PriceChange, ...]


class Fees(Section):
    staircases: Annotated[tuple[date, ...], Field(min_length=1)]


class UnitCost(Strict):
    """A changed gross cost per user and year, SEK."""

    drug_group: str
    old: Positive
    new: Positive
    why: str


class CellFactors(Strict):
    """DDD per fill by age band, women and men."""

    K: Factors
    M: Factors


class MoreDrug(Strict):
    """A drug group beyond those of the facts, taken for a disease of its own that has nothing to do with the others.

    ``per_1000`` persons of either sex have the disease, by ten-year band. ``gross_sek_per_year``, ``fills_per_year``
    and ``persistence`` (users again the year after) are per user, ``intensity_cv`` over users, ``latent_prevalence_sd``
    over centres, of the logit prevalence. ``free``: of charge to the patient.
    """

    drug_group: str
    atc: Annotated[str, Field(pattern=r"^[A-Z]\d{2}[A-Z]{2}\d{2}$")]
    per_1000: Annotated[tuple[NonNegative, ...], Field(min_length=10, max_length=10)]
    gross_sek_per_year: Positive
    fills_per_year: Annotated[float, Field(ge=4, le=12)]
    persistence: Annotated[float, Field(gt=0, lt=1)]
    intensity_cv: Positive
    latent_prevalence_sd: NonNegative = 0.0
    free: bool = False


class Departures(Strict):
    """What a world may have that the others lack; by default nothing.

    Attributes
    ----------
    prevalence_cv : CV over centres of every disease's prevalence at equal age and sex, deprivation included. Replaces
        the SDs of ``illness``; None leaves them.
    untreated_by_deprivation : log-odds of use given illness lost per SD of a centre's deprivation
    milder_where_common : DDD per fill of a group fall by this power of the centre's odds of its diseases
    uncoded_share, uncoded_log_odds_sd : share of persons × drug groups whose dispensings lack an ATC code, and the SD
        over centres of its log-odds
    groups_in_base : whether the facts' base drugs are base drugs; else only ``more_drugs`` are
    more_drugs : drug groups that no condition list knows
    """

    prevalence_cv: NonNegative | None = None
    untreated_by_deprivation: float = 0.0
    milder_where_common: float = 0.0
    uncoded_share: Share = 0.0
    uncoded_log_odds_sd: NonNegative = 0.0
    groups_in_base: bool = True
    more_drugs: tuple[MoreDrug, ...] = ()


class Calibration(Section):
    seed: int
    table_year: int
    table_period: str
    unit_costs: tuple[UnitCost, ...]
    factors: CellFactors

    @field_validator("unit_costs")
    @classmethod
    def _known_group(cls, costs: tuple[UnitCost, ...]) -> tuple[UnitCost, ...]:
        if unknown := sorted({c.drug_group for c in costs} - {group.drug_group for group in drug_groups()}):
            raise ValueError(f"no such drug group: {', '.join(unknown)}")
        return costs

    @field_validator("table_period")
    @classmethod
    def _is_period(cls, text: str) -> str:
        Period.parse(text)
        return text


class Scenario(Strict):
    """One world. Parameters and what each rests on: see the file itself."""

    name: str
    seed: Annotated[int, Field(ge=0)]
    title: Mapping[str, str]
    window: Window
    population: Population
    illness: Illness
    prescribing: Prescribing
    style: Style
    prices: Prices
    fees: Fees
    calibration: Calibration
    departures: Departures = Departures()

    @model_validator(mode="after")
    def _table_period_is_simulated(self) -> Scenario:
        period = Period.parse(self.calibration.table_period)
        if period.start < self.window.start or period.end > self.window.end:
            raise ValueError(f"the table period {period} does not lie within {self.window.start} to {self.window.end}")
        return self

    def __repr__(self) -> str:
        return (f"{self.name}: {self.title['en']}. Dispensings {Period(self.window.start, self.window.end)}, "
                f"{self.population.centres} centres, seed {self.seed}")

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"

    def but(self, **changes: Mapping[str, Any]) -> Scenario:
        """The same world with parameters changed, checked anew: ``scenario.but(style={"price_sd": 0})``."""
        return Scenario.model_validate(_merged(self.model_dump(by_alias=True), changes))


NOT_WORLDS = {"designs", "grid", "verdict"}
"""What lies beside the worlds and serves studies of them."""


def shipped_scenarios() -> tuple[str, ...]:
    """Names of the worlds that ship with the package."""
    folder = resources.files("lakemedelsmodell.simulations")
    names = {entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return tuple(sorted(names - NOT_WORLDS))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read a world by its name, or from a TOML file of one's own (``extends`` names the world it starts from).

    UserError where there is no such world; DataError with everything in the file that cannot be.
    """
    return _checked(_read(name_or_path), str(name_or_path))


def _read(name_or_path: str | Path, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tables of a world, those it extends included; ``below`` are the worlds that extend this one."""
    name = str(name_or_path)
    path = Path(name_or_path)
    if name in shipped_scenarios():
        text = resources.files("lakemedelsmodell.simulations").joinpath(f"{name}.toml").read_bytes()
    elif path.suffix == ".toml" and path.is_file():
        text = path.read_bytes()
    else:
        raise unknown_name("scenario", name, shipped_scenarios(), ", or give the path of a .toml file")
    try:
        raw = tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(Problem(name, f"is not TOML: {error}", "Correct the line.")) from None
    base = raw.pop("extends", None)
    if base is None:
        return raw
    try:
        if not isinstance(base, str) or base in (*below, name):
            raise unknown_name("scenario", str(base), shipped_scenarios())
        return _merged(_read(base, (*below, name)), raw)
    except DataError:
        raise
    except UserError:
        raise DataError(Problem(name, "extends no other world there is", f"Name {', '.join(shipped_scenarios())}, or a "
                                "file.", column="extends", value=str(base))) from None


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key, value in changes.items() if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)}
    return {**base, **changes, **{key: _merged(base[key], changes[key]) for key in both}}


def _checked(raw: Mapping[str, Any], name: str) -> Scenario:
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise DataError(problems(error, Scenario, name, "Compare with the shipped scenario skane_2026h1.")) from None
