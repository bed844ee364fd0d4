"""What the settlements show: fit, spread, contrasts, groups, incentives."""

from lakemedelsmodell.measures.comparison import CONTRASTS, Comparison, compare
from lakemedelsmodell.measures.contrasts import Contrast
from lakemedelsmodell.measures.fit import FitMeasures, fit_measures
from lakemedelsmodell.measures.spread import Spread, spread

__all__ = ["CONTRASTS", "Comparison", "Contrast", "FitMeasures", "Spread", "compare", "fit_measures", "spread"]
