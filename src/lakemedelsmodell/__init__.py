"""How a region shares out its drug money between primary-care centres.

The way data goes: a half-year (simulated, or a region's own files) → a cohort → amounts → a settlement
per centre → measures of how far apart the centres end up. In a notebook::

    import lakemedelsmodell as lm

    half_year = lm.simulate(scale=0.05).half_year()        # or lm.read_half_year("my-folder")
    evaluation = lm.evaluate(half_year)                     # the whole plan; shows itself

Names are imported when first used, so that ``import lakemedelsmodell`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "amounts": ("AmountTable", "Explanation", "published_table", "read_amounts", "write_amounts"),
    "conditions": ("Condition", "ConditionSet", "condition_set", "read_condition_list"),
    "data.cohort": ("CentreTotals", "Cohort"),
    "data.cohort_file": ("read_cohort",),
    "data.files": ("read_half_year",),
    "data.flags": ("build_cohort", "code_summary", "read_flags"),
    "data.periods": ("Period",),
    "data.tables": ("HalfYear",),
    "data.totals_file": ("Totals", "read_totals"),
    "errors": ("DataError", "Problem", "UserError"),
    "measures": ("Comparison", "Contrast", "FitMeasures", "Spread", "compare"),
    "measures.totals": ("compare_totals",),
    "models": ("AgeSex", "ChronicConditions", "Flat", "OutOfFold", "PublishedAgeSex", "out_of_fold"),
    "settlement": ("Settlement", "settle"),
    "simulation": ("Scenario", "Simulation", "load_scenario", "simulate"),
    "evaluation": ("Evaluation", "Settings", "derive_table", "evaluate", "evaluate_cohort", "evaluate_totals"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from lakemedelsmodell.amounts import AmountTable, Explanation, published_table, read_amounts, write_amounts
    from lakemedelsmodell.conditions import Condition, ConditionSet, condition_set, read_condition_list
    from lakemedelsmodell.data.cohort import CentreTotals, Cohort
    from lakemedelsmodell.data.cohort_file import read_cohort
    from lakemedelsmodell.data.files import read_half_year
    from lakemedelsmodell.data.flags import build_cohort, code_summary, read_flags
    from lakemedelsmodell.data.periods import Period
    from lakemedelsmodell.data.tables import HalfYear
    from lakemedelsmodell.data.totals_file import Totals, read_totals
    from lakemedelsmodell.errors import DataError, Problem, UserError
    from lakemedelsmodell.evaluation import (
        Evaluation,
        Settings,
        derive_table,
        evaluate,
        evaluate_cohort,
        evaluate_totals,
    )
    from lakemedelsmodell.measures import Comparison, Contrast, FitMeasures, Spread, compare
    from lakemedelsmodell.measures.totals import compare_totals
    from lakemedelsmodell.models import AgeSex, ChronicConditions, Flat, PublishedAgeSex
    from lakemedelsmodell.models.out_of_fold import OutOfFold, out_of_fold
    from lakemedelsmodell.settlement import Settlement, settle
    from lakemedelsmodell.simulation import Scenario, Simulation, load_scenario, simulate


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
