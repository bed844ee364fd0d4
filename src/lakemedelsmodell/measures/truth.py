"""Against the truth, which only a simulation knows: does a model remove misfit and keep style?

The ideal net is −α s_k: each centre bears its own prescribing style s_k and nothing else. A model can bring centres
closer by paying for style, which is no gain: so a smaller spread is read beside the pass-through of style.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.data.periods import Period
from lakemedelsmodell.settlement import Settlement


@dataclass(frozen=True, eq=False)
class Truth:
    """What a simulation knows of its P persons, in the order of their numbers. SEK per listed month before α.

    Attributes
    ----------
    period : Period
        The half-year it is the truth of.
    expected : float64, shape (P,)
        Cost to expect at the region's average practice.
    style : float64, shape (P,)
        What the practice of the centre where the person is first listed is expected to cost beyond that.
    """

    period: Period
    expected: np.ndarray
    style: np.ndarray

    def covers(self, period: Period) -> bool:
        return self.period.start <= period.start and period.end <= self.period.end

    def style_of(self, cohort: Cohort) -> np.ndarray:
        """s_k, the mean of the centre's listed months, shape (K,); nan for a centre without any."""
        e = cohort.exposure
        with np.errstate(invalid="ignore"):
            mean = np.bincount(cohort.centre, self.style[cohort.person] * e, cohort.n_centres) / np.bincount(
                cohort.centre, e, cohort.n_centres)
        return np.round(mean, 9)  # no style is 0, not what rounding left


@dataclass(frozen=True)
class PassThrough:
    """Slope of centres' nets on their ideal nets, with a 95 % interval.

    Attributes
    ----------
    slope : float
        π = Cov(n, −αs) / Var(αs); 1 when style comes out of the centre's own purse in full. nan without style or with
        fewer than three centres.
    standard_error : float
        Robust to unequal variance (HC3: MacKinnon & White 1985).
    ci_low, ci_high : float
        By Student's t with K−2 degrees of freedom.
    r2 : float
        Share of the nets' variance that the ideal accounts for.
    """

    slope: float
    standard_error: float
    ci_low: float
    ci_high: float
    r2: float


def pass_through(net: np.ndarray, ideal: np.ndarray, *, level: float = 0.95) -> PassThrough:
    """π of nets n_k on ideal nets −αs_k, both SEK per listed month, shape (K,); nan in either leaves the centre out.

    Of the difference of two models' nets, n₁−n₀, it gives the difference of their pass-through with a paired interval.
    """
    from scipy.special import stdtrit

    both = ~np.isnan(net) & ~np.isnan(ideal)
    y, x = net[both], ideal[both]
    K = len(y)
    if K < 3 or np.ptp(x) == 0:
        return PassThrough(*[np.nan] * 5)
    y, x = y - y.mean(), x - x.mean()
    sxx = (x**2).sum()
    slope = (x * y).sum() / sxx
    left = y - slope * x
    leverage = 1 / K + x**2 / sxx
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt((x**2 * (left / (1 - leverage)) ** 2).sum()) / sxx
    half = stdtrit(K - 2, (1 + level) / 2) * error
    explained = 1 - (left**2).sum() / (y**2).sum() if (y**2).sum() > 0 else np.nan
    return PassThrough(float(slope), float(error), float(slope - half), float(slope + half), float(explained))


def ideal_net(style: np.ndarray, months: np.ndarray, cost_responsibility: float) -> np.ndarray:
    """−α(s_k − s̄), SEK per listed month, shape (K,), s̄ weighted by listed months.

    Style is counted from the region's average practice, since one factor φ per model pays for the average.

    Parameters
    ----------
    style : s_k, cost of the centre's own practice over average practice, SEK per listed month before α, shape (K,)
    months : listed months, shape (K,)
    """
    listed = months > 0
    mean = (style[listed] * months[listed]).sum() / months[listed].sum()
    return np.where(listed, -cost_responsibility * (style - mean), np.nan)


@dataclass(frozen=True)
class TruthMeasures:
    """One model's nets against the ideal. SEK per listed month unless said.

    Attributes
    ----------
    model : str
    excess_sd : float
        √max(0, SD² − SD²_oracle): the spread a model adds to that of paying for need exactly.
    pass_through : PassThrough
    rmse_to_ideal : float
        √ mean (n_k + αs_k)²; holds misfit and chance, and any style that the model pays for.
    """

    model: str
    excess_sd: float
    pass_through: PassThrough
    rmse_to_ideal: float

    def to_frame(self) -> pd.DataFrame:
        """Tidy: model, measure, value."""
        values = {"excess_sd": self.excess_sd, "rmse_to_ideal": self.rmse_to_ideal,
                  **{f"pass_through_{name}": value for name, value in asdict(self.pass_through).items()}}
        return pd.DataFrame({"model": self.model, "measure": list(values), "value": list(values.values())})


def against_truth(settlement: Settlement, style: np.ndarray, oracle: Settlement) -> TruthMeasures:
    """What the simulator's truth says of one settlement.

    Parameters
    ----------
    settlement : of the model
    style : s_k, SEK per listed month before α, shape (K,), in the settlement's order of centres
    oracle : settlement of the same centres on the same budget by their expected cost at average practice
    """
    if not np.array_equal(settlement.centre_ids, oracle.centre_ids):
        raise ValueError("the oracle's settlement is not of the same centres")
    n = settlement.net_per_month
    ideal = ideal_net(style, settlement.months, settlement.cost_responsibility)
    return TruthMeasures(
        model=settlement.model, excess_sd=excess_sd(n, oracle.net_per_month), pass_through=pass_through(n, ideal),
        rmse_to_ideal=float(np.sqrt(np.nanmean((n - ideal) ** 2))),
    )


def excess_sd(net: np.ndarray, oracle_net: np.ndarray) -> float:
    """√max(0, SD² − SD²_oracle) over centres (ddof 1), SEK per listed month; nan with fewer than two centres."""
    both = ~np.isnan(net) & ~np.isnan(oracle_net)
    if both.sum() < 2:
        return np.nan
    return float(np.sqrt(max(0.0, net[both].var(ddof=1) - oracle_net[both].var(ddof=1))))


def true_spread_reduction(tau2: float, tau2_against: float) -> float:
    """1 − τ²₁/τ²₀: the share of the systematic spread that the first model takes away.

    Below 0 it adds some; nan where the second model's spread has nothing systematic.
    """
    return 1 - tau2 / tau2_against if tau2_against > 0 else np.nan
