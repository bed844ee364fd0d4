"""Models of reimbursement: each is fitted on a cohort and ends as an amount table."""

from lakemedelsmodell.models.age_sex import AgeSex, Flat, PublishedAgeSex
from lakemedelsmodell.models.base import Model
from lakemedelsmodell.models.chronic import ChronicConditions
from lakemedelsmodell.models.out_of_fold import OutOfFold, out_of_fold

__all__ = ["AgeSex", "ChronicConditions", "Flat", "Model", "OutOfFold", "PublishedAgeSex", "out_of_fold"]
