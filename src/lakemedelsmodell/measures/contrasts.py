"""Is one model's spread smaller than another's, on the same centres and the same money?

The primary contrast is Δ = ln(SD₁/SD₀) with a BCa interval (Efron 1987) over resampled centres, both
models on the same resample. Persons are never resampled: that would estimate τ² + 2σ²/n.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from lakemedelsmodell.measures.redistribution import redistributed_sek
from lakemedelsmodell.settlement import Settlement


@dataclass(frozen=True)
class Contrast:
    """One model's spread against another's.

    Attributes
    ----------
    model, against : str
    log_sd_ratio : float
        Δ = ln(SD_model / SD_against) of the net per listed month; below 0 the model brings centres closer.
    ci_low, ci_high : float
        95 % BCa interval of Δ.
    sd_ratio : float
        e^Δ.
    random_list_ratio : float
        √((1−R²_model)/(1−R²_against)): the SD ratio that randomly composed lists would give.
    se_check : float
        √((1−ρ²)/(K−1)), what the standard error of Δ is near when nets are normal.
    correlation : float
        ρ of the two models' nets over centres.
    redistribution_sek : float
        ½ Σ|R_model − R_against|, SEK over the period.
    centres_changing_sign : int
    spearman : float
        Rank correlation of the two models' nets.
    """

    model: str
    against: str
    log_sd_ratio: float
    ci_low: float
    ci_high: float
    sd_ratio: float
    random_list_ratio: float
    se_check: float
    correlation: float
    redistribution_sek: float
    centres_changing_sign: int
    spearman: float

    def __repr__(self) -> str:
        return (f"SD of {self.model} over SD of {self.against}: {self.sd_ratio:.3f} (95 % {np.exp(self.ci_low):.3f} to "
                f"{np.exp(self.ci_high):.3f}); randomly composed lists would give {self.random_list_ratio:.3f}")

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


def contrast(model: Settlement, against: Settlement, r2_model: float, r2_against: float, *,
             resamples: int = 2000, seed: int = 20260507) -> Contrast:
    """Set two settlements of the same centres against each other.

    ``r2_model`` and ``r2_against`` are the models' R² for persons, for the random-list reference.
    """
    if not np.array_equal(model.centre_ids, against.centre_ids):
        raise ValueError("the two settlements are not of the same centres")
    here = model.months > 0
    n1, n0 = model.net_per_month[here], against.net_per_month[here]
    delta = float(log_sd_ratio(n1, n0))
    low, high = bca_interval(n1, n0, resamples=resamples, seed=seed)
    rho = _correlation(n1, n0)
    return Contrast(
        model=model.model, against=against.model,
        log_sd_ratio=delta, ci_low=low, ci_high=high, sd_ratio=float(np.exp(delta)),
        random_list_ratio=float(np.sqrt((1 - r2_model) / (1 - r2_against))) if r2_against < 1 else np.nan,
        se_check=float(np.sqrt(max(0.0, 1 - rho**2) / (len(n1) - 1))) if len(n1) > 1 else np.nan,
        correlation=rho,
        redistribution_sek=redistributed_sek(model, against),
        centres_changing_sign=int((np.sign(n1) * np.sign(n0) < 0).sum()),
        spearman=_correlation(_ranks(n1), _ranks(n0)),
    )


def log_sd_ratio(n1: np.ndarray, n0: np.ndarray) -> np.ndarray:
    """ln(SD₁/SD₀) along the last axis; nan where either SD is 0 or there are fewer than 2 centres."""
    if n1.shape[-1] < 2:
        return np.full(n1.shape[:-1], np.nan)
    return _log_ratio(n1.var(axis=-1), n0.var(axis=-1))


def _log_ratio(variance1: np.ndarray, variance0: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 0.5 * np.log(variance1 / variance0)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def bca_interval(n1: np.ndarray, n0: np.ndarray, *, level: float = 0.95, resamples: int = 2000,
                 seed: int = 20260507) -> tuple[float, float]:
    """BCa interval of ln(SD₁/SD₀) over resampled centres, both nets on the same resample.

    Both of shape (K,). nan with fewer than 3 centres or where a spread is 0.
    """
    from scipy.special import ndtr, ndtri

    K = len(n1)
    delta = log_sd_ratio(n1, n0)
    if K < 3 or np.isnan(delta):
        return np.nan, np.nan
    pick = np.random.default_rng(seed).integers(0, K, (resamples, K))
    drawn = log_sd_ratio(n1[pick], n0[pick])
    drawn = drawn[~np.isnan(drawn)]
    if np.ptp(drawn) < 1e-12:  # the two models agree in every resample
        return float(delta), float(delta)
    bias = ndtri(((drawn < delta).mean() + (drawn <= delta).mean()) / 2)
    if not np.isfinite(bias):
        return np.nan, np.nan
    left_out = _log_ratio(_variance_without_each(n1), _variance_without_each(n0))
    pull = left_out.mean() - left_out
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(drawn, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def _variance_without_each(n: np.ndarray) -> np.ndarray:
    """Variance (ddof 0) of the other K−1 values, for each: the jackknife in closed form."""
    K, d = len(n), n - n.mean()
    return ((d @ d - d**2 * K / (K - 1)) / (K - 1)).clip(min=0)


def _ranks(n: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(n)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])
