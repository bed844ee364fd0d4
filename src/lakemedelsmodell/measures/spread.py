"""How far apart the centres end up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

SPREAD_MEASURES = ("sd", "weighted_sd", "mad", "p90_p10", "share_positive", "within_2pct", "within_5pct", "min", "max",
                   "mean_abs")

_SHARES = ("share_positive", "within_2pct", "within_5pct")


@dataclass(frozen=True)
class Spread:
    """Spread of the net per listed month over K centres.

    Attributes
    ----------
    sd : float
        Standard deviation over centres (ddof 1), SEK per listed month; so for all below unless said. One
        centre has no spread: nan, as the next three.
    weighted_sd : float
        The same, each centre weighted by its listed months; equals ``sd`` when lists are equally long.
    mad : float
        1.4826 × median absolute deviation.
    p90_p10 : float
        90th percentile less 10th.
    share_positive : float
        Share of centres with net above 0.
    within_2pct, within_5pct : float
        Share of centres with |n_k| at most 2 or 5 % of αC̄.
    min, max, mean_abs : float
        Lowest and highest net, mean of |n_k|.
    own_cost : float
        αC̄, the centres' mean own cost: what the percentages refer to.
    """

    sd: float
    weighted_sd: float
    mad: float
    p90_p10: float
    share_positive: float
    within_2pct: float
    within_5pct: float
    min: float
    max: float
    mean_abs: float
    own_cost: float

    def measures(self) -> dict[str, float]:
        """The measures by name, without ``own_cost``."""
        return {name: value for name, value in asdict(self).items() if name in SPREAD_MEASURES}

    def __repr__(self) -> str:
        return (f"Net of the centres, SEK per listed month: SD {self.sd:.2f} (weighted {self.weighted_sd:.2f}), "
                f"P90−P10 {self.p90_p10:.2f}, {self.min:.2f} to {self.max:.2f}; above 0 {self.share_positive:.0%}, "
                f"within ±2 % of own cost {self.within_2pct:.0%}")

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>"

    def scaled(self, factor: float) -> Spread:
        """In another unit of money: 6 for SEK per half-year, 100 / own_cost for per cent of αC̄."""
        return replace(self, **{name: value * factor for name, value in asdict(self).items() if name not in _SHARES})


def spread(net_per_month: np.ndarray, months: np.ndarray, own_cost_per_month: float) -> Spread:
    """Spread of n_k.

    Parameters
    ----------
    net_per_month : SEK per listed month, shape (K,); a centre without listed months is nan and left out
    months : listed months, shape (K,)
    own_cost_per_month : αC̄, SEK per listed month over all centres
    """
    here = months > 0
    n, weight = net_per_month[here], months[here] / months[here].sum()
    K = len(n)
    low, high = np.percentile(n, [10, 90])
    return Spread(
        sd=float(n.std(ddof=1)) if K > 1 else np.nan,
        weighted_sd=float(np.sqrt(weight @ (n - weight @ n) ** 2 * K / (K - 1))) if K > 1 else np.nan,
        mad=float(1.4826 * np.median(np.abs(n - np.median(n)))) if K > 1 else np.nan,
        p90_p10=float(high - low) if K > 1 else np.nan,
        share_positive=float((n > 0).mean()),
        within_2pct=float((np.abs(n) <= 0.02 * own_cost_per_month).mean()),
        within_5pct=float((np.abs(n) <= 0.05 * own_cost_per_month).mean()),
        min=float(n.min()), max=float(n.max()), mean_abs=float(np.abs(n).mean()), own_cost=float(own_cost_per_month),
    )
