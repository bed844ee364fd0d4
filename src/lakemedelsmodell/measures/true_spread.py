"""What of a spread between centres is systematic, and what would another draw of persons change.

A centre's net per listed month n_k is read as a true net plus the luck of which persons are on its list and what
befalls them, of variance s²_k. τ² is the variance of the true nets (DerSimonian & Laird 1986). s²_k comes from the
model's own net per person, so τ is what is left beyond randomly composed lists; of the rest, the noise floor is what no
model can remove and the remainder is what a model that knew each list better would remove.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lakemedelsmodell.data.cohort import Cohort
from lakemedelsmodell.measures.noise import NoiseFloor
from lakemedelsmodell.measures.stays import Stays, chance_variance, risk_strata, stays
from lakemedelsmodell.settlement import Settlement

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class TrueSpread:
    """Systematic spread of a model's net per listed month over K centres.

    Everything is nan where it cannot be known: fewer than two centres, or a centre without any variance.

    Attributes
    ----------
    tau2 : float
        Variance of the true nets, (SEK per listed month)²; 0 when the spread is no wider than chance.
    q : float
        Cochran's Q = Σ w (n − n̄)², w = 1/s²; K−1 on average when there is chance alone.
    df : int
        K − 1.
    p_value : float
        Probability of a Q as large by chance alone.
    mean : float
        Mean of the true nets, each centre weighted by 1/(s² + τ²), SEK per listed month.
    net : float64, shape (K,)
        n_k, SEK per listed month; nan for a centre left out.
    variance : float64, shape (K,)
        s²_k, (SEK per listed month)².
    """

    tau2: float
    q: float
    df: int
    p_value: float
    mean: float
    net: np.ndarray
    variance: np.ndarray

    @property
    def true_sd(self) -> float:
        """τ, SEK per listed month."""
        return float(np.sqrt(self.tau2))

    @property
    def chance_sd(self) -> float:
        """√ mean s²_k: the SD that randomly composed lists would give under this model, SEK per listed month."""
        return float(np.sqrt(np.mean(self.variance[self._counted]))) if self._counted.any() else np.nan

    @property
    def reliability(self) -> np.ndarray:
        """τ²/(τ²+s²_k), the share of a centre's departure that is not chance, shape (K,)."""
        with np.errstate(invalid="ignore"):
            return self.tau2 / (self.tau2 + self.variance)

    @property
    def mean_reliability(self) -> float:
        """Mean reliability over centres."""
        return float(np.mean(self.reliability[self._counted])) if self._counted.any() else np.nan

    @property
    def shrunken(self) -> np.ndarray:
        """Best guess of each true net: drawn towards the mean by the reliability, SEK per listed month, shape (K,)."""
        return self.mean + self.reliability * (self.net - self.mean)

    @property
    def _counted(self) -> np.ndarray:
        return ~np.isnan(self.net) & ~np.isnan(self.variance)

    def to_frame(self) -> pd.DataFrame:
        """One row per centre, in the cohort's order: net, standard_error, reliability, shrunken."""
        return pd.DataFrame({"net": self.net, "standard_error": np.sqrt(self.variance),
                             "reliability": self.reliability, "shrunken": self.shrunken})

    def _repr_html_(self) -> str:
        return (f"<p>True SD {self.true_sd:,.2f} and chance {self.chance_sd:,.2f} SEK per listed month; "
                f"Q = {self.q:,.1f} on {self.df} df (p = {self.p_value:.3g}); mean reliability "
                f"{self.mean_reliability:.2f}.</p>")


def true_spread(settlement: Settlement, cohort: Cohort, paid_per_month: np.ndarray) -> TrueSpread:
    """τ² of a model's nets, with s²_k pooled over centres within strata of what the model pays.

    s²_k is that of listed persons' costs, also where the nets are of costs borne by the prescriber.

    Parameters
    ----------
    settlement : of the cohort
    cohort : Cohort of the paid period
    paid_per_month : SEK per listed month each row is paid, φ included, shape (n,)
    """
    here, net = person_nets(cohort, paid_per_month, settlement.cost_responsibility)
    stratum = risk_strata(here.per_month(cohort.exposure * paid_per_month), here.listed)
    variance = chance_variance(here, net, stratum)
    return dersimonian_laird(settlement.net_per_month, variance)


def person_nets(cohort: Cohort, paid_per_month: np.ndarray, cost_responsibility: float) -> tuple[Stays, np.ndarray]:
    """Stays, and what each brings its centre: Σ e·paid − αC, SEK over the stay, shape (U,)."""
    here = stays(cohort)
    return here, here.sum(cohort.exposure * paid_per_month - cost_responsibility * cohort.weighted(cohort.cost))


def dersimonian_laird(net: np.ndarray, variance: np.ndarray) -> TrueSpread:
    """Moment estimate τ² = max(0, [Q − (K−1)] / [Σw − Σw²/Σw]), w = 1/s².

    Parameters
    ----------
    net : estimates, shape (K,); nan = left out
    variance : s²_k > 0 of the estimates, shape (K,); nan = left out. They must not depend on the centre's own luck
        (pool them), or lucky centres weigh too much.
    """
    from scipy.special import chdtrc

    counted = ~np.isnan(net) & ~np.isnan(variance)
    n, v = net[counted], variance[counted]
    K = len(n)
    if K < 2 or (v <= 0).any():
        return TrueSpread(np.nan, np.nan, K - 1, np.nan, np.nan, net, variance)
    w = 1 / v
    q = float((w * (n - (w * n).sum() / w.sum()) ** 2).sum())
    tau2 = _moment(q, w)
    full = 1 / (v + tau2)
    mean = float((full * n).sum() / full.sum())
    return TrueSpread(float(tau2), q, K - 1, float(chdtrc(K - 1, q)), mean, net, variance)


def _moment(q: float, w: np.ndarray) -> float:
    """max(0, [Q − (K−1)] / [Σw − Σw²/Σw]) of K weights w = 1/s²: the variance beyond chance that explains a Q."""
    return max(0.0, (q - (len(w) - 1)) / (w.sum() - (w**2).sum() / w.sum()))


def spread_parts(true: TrueSpread, floor: NoiseFloor) -> pd.DataFrame:
    """Where a model's spread comes from: part, sd (SEK per listed month), variance.

    ``noise``: chance no model removes; ``lists``: chance in who is on the list, which a model that sees it removes;
    ``true``: systematic misfit and prescribing style. The variances add up to that of the nets but for estimation
    error, since τ² weights the centres by their precision.
    """
    noise = floor.floor**2
    variance = [noise, max(0.0, true.chance_sd**2 - noise), true.tau2]
    return pd.DataFrame({"part": ["noise", "lists", "true"], "sd": np.sqrt(variance), "variance": variance})


@dataclass(frozen=True)
class SplitHalf:
    """Nets of centres in two random halves of their persons, averaged over splits.

    Attributes
    ----------
    covariance : float
        Over centres, of the two halves' nets: another estimate of τ², (SEK per listed month)². May be negative.
    standard_error : float
        Of the covariance, over centres (jackknife), (SEK per listed month)².
    reliability : float
        Correlation of the halves stepped up to whole lists, 2r/(1+r) (Spearman–Brown); nan when r ≤ −1.
    splits : int
    """

    covariance: float
    standard_error: float
    reliability: float
    splits: int


def split_half(cohort: Cohort, paid_per_month: np.ndarray, cost_responsibility: float, *, splits: int = 10,
               seed: int = 20260507) -> SplitHalf:
    """Deal persons (all their stays together) into two halves and compare each centre with itself.

    Parameters as for :func:`true_spread`; at most 64 splits. Centres without persons in both halves are left out of
    that split. nan with fewer than three centres.
    """
    here, net = person_nets(cohort, paid_per_month, cost_responsibility)
    coins = np.random.default_rng(seed).integers(0, 2**64, int(here.person.max()) + 1, dtype=np.uint64)[here.person]
    total, months = here.by_centre(net), here.months
    covariances, correlations, left_out = [], [], []
    for split in range(splits):
        heads = ((coins >> np.uint64(split)) & np.uint64(1)).astype(np.float64)
        half, half_months = here.by_centre(net * heads), here.by_centre(here.exposure * heads)
        both = (half_months > 0) & (half_months < months)
        if both.sum() < 3:
            return SplitHalf(np.nan, np.nan, np.nan, splits)
        a = half[both] / half_months[both]
        b = (total - half)[both] / (months - half_months)[both]
        a, b = a - a.mean(), b - b.mean()
        K = len(a)
        covariances.append((a * b).sum() / (K - 1))
        correlations.append((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))
        pull = np.full(here.n_centres, np.nan)
        pull[both] = ((a * b).sum() - a * b * K / (K - 1)) / (K - 2)
        left_out.append(pull)
    jackknife = np.nanmean(np.array(left_out)[:, ~np.isnan(left_out).all(axis=0)], axis=0)
    r, K = float(np.mean(correlations)), len(jackknife)
    return SplitHalf(
        covariance=float(np.mean(covariances)),
        standard_error=float(np.sqrt((K - 1) / K * ((jackknife - jackknife.mean()) ** 2).sum())),
        reliability=2 * r / (1 + r) if r > -1 else np.nan, splits=splits,
    )


@dataclass(frozen=True)
class Persistence:
    """The same centres' nets in two periods.

    Attributes
    ----------
    centres : int
        Centres with listed months in both.
    covariance : float
        (SEK per listed month)²; what lasts: true spread, and the lasting luck of who is listed.
    correlation : float
    sd_first, sd_second : float
        SEK per listed month.
    """

    centres: int
    covariance: float
    correlation: float
    sd_first: float
    sd_second: float


def persistence(first: Settlement, second: Settlement) -> Persistence:
    """Covariance and correlation of n_k between two periods, over the centres in both; nan with fewer than two."""
    _, i, j = np.intersect1d(first.centre_ids, second.centre_ids, return_indices=True)
    a, b = first.net_per_month[i], second.net_per_month[j]
    lived = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[lived], b[lived]
    if len(a) < 2:
        return Persistence(len(a), np.nan, np.nan, np.nan, np.nan)
    covariance, sd_a, sd_b = float(np.cov(a, b)[0, 1]), float(a.std(ddof=1)), float(b.std(ddof=1))
    return Persistence(len(a), covariance, covariance / (sd_a * sd_b) if sd_a * sd_b > 0 else np.nan, sd_a, sd_b)


@dataclass(frozen=True)
class PitmanMorgan:
    """Exact test, for normal nets, that two models' nets of the same centres spread alike.

    Attributes
    ----------
    correlation : float
        Of n₁+n₀ and n₁−n₀: above 0 where the first spreads wider.
    t : float
        Student's t with K−2 degrees of freedom.
    p_value : float
        Two-sided.
    sd_ratio, ci_low, ci_high : float
        SD₁/SD₀ and its 95 % interval: the ratios the test would not reject.
    """

    correlation: float
    t: float
    p_value: float
    sd_ratio: float
    ci_low: float
    ci_high: float


def pitman_morgan(n1: np.ndarray, n0: np.ndarray, *, level: float = 0.95) -> PitmanMorgan:
    """Test cor(n₁+n₀, n₁−n₀) = 0 (Pitman 1939, Morgan 1939); nan in all with fewer than 3 centres or no variance.

    ``n1`` and ``n0`` are SEK per listed month, shape (K,); a centre that is nan in either is left out.
    """
    from scipy.special import stdtr, stdtrit

    both = ~np.isnan(n1) & ~np.isnan(n0)
    a, b = n1[both], n0[both]
    df = len(a) - 2
    if df < 1 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return PitmanMorgan(*[np.nan] * 6)
    ratio = float(a.var() / b.var())
    unexplained = max(0.0, 1 - np.corrcoef(a, b)[0, 1] ** 2)
    # t as a function of the variance ratio; the interval is where |t| stays below its quantile.
    gap = np.sqrt(4 * ratio * unexplained)
    t = (ratio - 1) * np.sqrt(df) / gap if gap > 0 else np.inf * np.sign(ratio - 1) if ratio != 1 else 0.0
    reach = 1 + 2 * stdtrit(df, (1 + level) / 2) ** 2 * unexplained / df
    spread = np.sqrt(reach**2 - 1)
    return PitmanMorgan(
        correlation=float(t / np.sqrt(df + t**2)) if np.isfinite(t) else float(np.sign(t)), t=float(t),
        p_value=float(2 * stdtr(df, -abs(t))), sd_ratio=float(np.sqrt(ratio)),
        ci_low=float(np.sqrt(ratio * (reach - spread))), ci_high=float(np.sqrt(ratio * (reach + spread))),
    )


FUNNEL_LIMITS = {"95": 1.959964, "998": 3.090232}
"""Normal quantiles that 95 and 99.8 % lie between: the limits of a funnel plot (Spiegelhalter 2005)."""


@dataclass(frozen=True, eq=False)
class Funnel:
    """Nets against precision, with limits that allow for centres differing for reasons of their own.

    Attributes
    ----------
    target : float
        SEK per listed month the limits are drawn about.
    over_dispersion : float
        Mean winsorised z²; 1 when chance alone is at work.
    tau2 : float
        Variance added to s²_k, (SEK per listed month)².
    centres : DataFrame, one row per centre in the settlement's order
        centre_id, listed_months, net, standard_error (s_k), z (net less target over s_k), z_adjusted (over
        √(s²_k+τ²)), low_95, high_95, low_998, high_998 (limits with τ²), outside (beyond the 99.8 % limits).
    """

    target: float
    over_dispersion: float
    tau2: float
    centres: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        return self.centres

    def plot(self, ax: Axes | None = None) -> Axes:
        """Net by how far chance alone carries a centre, short lists to the right, with the 95 and 99.8 % limits."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(7, 4))[1]
        shown = self.centres.sort_values("standard_error", ascending=False)
        for level, style in (("95", "--"), ("998", "-")):
            for side in ("low", "high"):
                ax.plot(shown["standard_error"], shown[f"{side}_{level}"], style, color="0.6", lw=0.8)
        ax.axhline(self.target, color="0.4", lw=0.8)
        for beyond, rows in shown.groupby("outside"):
            ax.plot(rows["standard_error"], rows["net"], "o", ms=3.5, mfc=None if beyond else "none")
        ax.set(xlabel="Standard error by chance, SEK per listed month", ylabel="Net, SEK per listed month")
        return ax


def funnel(settlement: Settlement, variance: np.ndarray, *, target: float = 0.0, winsorised: float = 0.1) -> Funnel:
    """Funnel-plot data with additive over-dispersion (Spiegelhalter 2005).

    Parameters
    ----------
    settlement : K centres
    variance : s²_k > 0, (SEK per listed month)², shape (K,): :attr:`TrueSpread.variance`; nan = left out of τ²
    target : SEK per listed month; 0 is break-even
    winsorised : share of z drawn in at either end before over-dispersion is estimated, so that the outliers the plot
        is to show do not widen its limits
    """
    net, error = settlement.net_per_month, np.sqrt(variance)
    z = (net - target) / error
    known = z[~np.isnan(z)]
    low, high = np.quantile(known, [winsorised, 1 - winsorised]) if len(known) else (np.nan, np.nan)
    phi = float(np.mean(known.clip(low, high) ** 2)) if len(known) else np.nan
    K, w = len(known), 1 / variance[~np.isnan(z)]
    tau2 = _moment(K * phi, w) if K > 1 else np.nan
    whole = np.sqrt(variance + tau2)
    limits = {f"{side}_{level}": target + sign * quantile * whole
              for level, quantile in FUNNEL_LIMITS.items() for side, sign in (("low", -1), ("high", 1))}
    z_adjusted = (net - target) / whole
    return Funnel(target, phi, float(tau2), pd.DataFrame({
        "centre_id": settlement.centre_ids, "listed_months": settlement.months, "net": net, "standard_error": error,
        "z": z, "z_adjusted": z_adjusted, **limits, "outside": np.abs(z_adjusted) > FUNNEL_LIMITS["998"],
    }))
