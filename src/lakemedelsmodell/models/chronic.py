"""The proposal: age, sex and chronic conditions."""

from __future__ import annotations

from dataclasses import dataclass

from lakemedelsmodell.models.base import LeastSquares, Rule


@dataclass(frozen=True)
class ChronicConditions(LeastSquares):
    """Age band × sex plus an add-on, never negative, per chronic condition.

    With ``rule`` "dispensed" one dispensing in the look-back flags a condition (model ``chronic``); with
    "listed" the thresholds of the condition list must hold (model ``chronic_strict``).
    ``condition_set`` names the list in the amounts; it changes nothing else.
    """

    rule: Rule = "dispensed"
    condition_set: str | None = None

    @property
    def name(self) -> str:
        return "chronic" if self.rule == "dispensed" else "chronic_strict"

    @property
    def role(self) -> str:
        return "the proposal" if self.rule == "dispensed" else "the proposal, stricter rules"
