"""The analysis plan on one half-year: which models, fitted where, paid where, measured how.

Amounts are estimated on the half-year before (flags from the twelve months before that), rounded to
whole kronor and frozen, then paid on the period; one factor per model closes them to the same budget.
"""

from lakemedelsmodell.evaluation.analysis import (
    SCHEMA_VERSION,
    Evaluation,
    evaluate,
    evaluate_cohort,
    evaluate_totals,
)
from lakemedelsmodell.evaluation.derived import derive_table, noticed
from lakemedelsmodell.evaluation.plan import Plan, make_plan
from lakemedelsmodell.evaluation.results import EXAMPLES
from lakemedelsmodell.evaluation.schema import read_results, results_schema
from lakemedelsmodell.evaluation.settings import Progress, Settings, quiet
from lakemedelsmodell.evaluation.warnings import WARNINGS, Warned

__all__ = ["EXAMPLES", "SCHEMA_VERSION", "WARNINGS", "Evaluation", "Plan", "Progress", "Settings", "Warned",
           "derive_table", "evaluate", "evaluate_cohort", "evaluate_totals", "make_plan", "noticed", "quiet",
           "read_results", "results_schema"]
