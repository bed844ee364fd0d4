"""Models of reimbursement: each is fitted on a cohort and ends as an amount table, or as a prediction never paid."""

from lakemedelsmodell.models.age_sex import AgeSex, Flat, PublishedAgeSex
from lakemedelsmodell.models.base import Model, Predictor, fit_models
from lakemedelsmodell.models.benchmarks import AgeSexCni, Boosting, Count, HighestOnly, LastCost, Oracle, prior_cost
from lakemedelsmodell.models.centre_effects import CentreEffects, style_contamination
from lakemedelsmodell.models.chronic import ChronicConditions
from lakemedelsmodell.models.constrained import Constrained
from lakemedelsmodell.models.credibility import Credibility, credibility, thin_group_warnings
from lakemedelsmodell.models.newcomers import ChronicNewcomers
from lakemedelsmodell.models.nonnegative import ChronicNonnegative
from lakemedelsmodell.models.out_of_fold import OutOfFold, out_of_fold
from lakemedelsmodell.models.pooled import AgeSexPool, ChronicDefended, ChronicPool

__all__ = ["AgeSex", "AgeSexCni", "AgeSexPool", "Boosting", "CentreEffects", "ChronicConditions", "ChronicDefended",
           "ChronicNewcomers", "ChronicNonnegative", "ChronicPool", "Constrained", "Count", "Credibility", "Flat",
           "HighestOnly", "LastCost", "Model", "Oracle", "OutOfFold", "Predictor", "PublishedAgeSex", "credibility",
           "fit_models", "out_of_fold", "prior_cost", "style_contamination", "thin_group_warnings"]
