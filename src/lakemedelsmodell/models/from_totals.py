"""Amounts estimated from centre totals: cost regressed on the sums of the design columns.

Adding the rows of a centre up turns C = e x'β + error into C_k = X_k'β + error_k, X_k the centre's sums.
Errors of unrelated persons have a variance in proportion to the centre's listed months M_k, hence

    minimise Σ_k (C_k − X_k'β)² / M_k = Σ_k M_k (C_k/M_k − x̄_k'β)²,

the exposure-weighted least squares of the person level with centre means in the place of persons. Add-ons
are ≥ 0. What is learnt is ecological: a centre's other traits that go with a column end up in its amount.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from lakemedelsmodell.data.totals_file import Totals
from lakemedelsmodell.errors import DataError, Problem
from lakemedelsmodell.facts import BAND_FROM, SEXES

RANK_TOLERANCE = 1e-10
"""Directions of a design with a smaller singular value than this share of the largest do not count."""

DUST = 1e-8
"""Below this a leverage's distance to 1, or what is left of a column beside others, is rounding."""


@dataclass(frozen=True)
class TotalsModel:
    """A model as the kinds of columns it pays by.

    ``kinds`` are among age_sex, flag, index and covariate; without any everyone gets the same. ``index``
    names the one index column that an index model scales.
    """

    name: str
    role: str
    kinds: tuple[str, ...] = ()
    index: str | None = None

    def columns(self, totals: Totals) -> tuple[list[tuple[str, str]], np.ndarray]:
        """(kind, name) of the p columns, and their sums over listed months, shape (K, p)."""
        if not self.kinds:
            return [("flat", "everyone")], totals.months[:, None]
        if self.index is not None:
            at = totals.names["index"].index(self.index)
            return [("index", self.index)], totals.sums("index")[:, [at]]
        return ([(kind, name) for kind in self.kinds for name in totals.names[kind]],
                np.hstack([totals.sums(kind) for kind in self.kinds]))

    def fit(self, totals: Totals) -> TotalsFit:
        """Estimate on all centres, and on all but each.

        Raises
        ------
        DataError
            When there are no more centres than columns, or a centre is the only one with something in a
            column, so that its payment cannot be set by the others.
        """
        names, sums = self.columns(totals)
        K, p = sums.shape
        if p >= K:
            raise DataError(Problem("totals", f"{K} centres cannot set the {p} amounts of {self.name}",
                                    "Merge columns (wider age bands, fewer conditions), or give more centres"))
        fit = leave_one_out(sums, totals.cost, totals.months, np.array([kind == "flag" for kind, _ in names]))
        if (alone := np.isnan(fit.left_out)).any():
            centres = totals.centre_ids[alone]
            raise DataError(Problem(
                "totals", f"no other centre can set what {self.name} pays this one: it alone has something in a column",
                "Merge that column with its neighbour, or leave the centre out", value=str(centres[0]),
                count=len(centres)))
        return TotalsFit(self, tuple(names), fit.amounts, fit.left_out, fit.rank)


@dataclass(frozen=True, eq=False)
class TotalsFit:
    """A fitted model.

    Attributes
    ----------
    model : TotalsModel
    columns : tuple of (kind, name), length p
    amounts : float64, shape (p,)
        Cost in SEK per unit of each column, before cost responsibility; nan for a column nobody has.
    left_out : float64, shape (K,)
        Cost per listed month, SEK, predicted from all other centres.
    rank : int
        Below the number of columns in use the amounts are one choice among many; the payments are not.
    """

    model: TotalsModel
    columns: tuple[tuple[str, str], ...]
    amounts: np.ndarray
    left_out: np.ndarray
    rank: int

    @property
    def is_unique(self) -> bool:
        return self.rank == int((~np.isnan(self.amounts)).sum())


def models_of(totals: Totals) -> tuple[TotalsModel, ...]:
    """The models these columns allow, from the floor upwards."""
    found = [TotalsModel("flat", "floor")]
    found += [TotalsModel(f"index_{name}", "a fixed index, scaled", ("index",), name) for name in totals.names["index"]]
    if totals.names["age_sex"]:
        found.append(TotalsModel("age_sex", "today, re-derived", ("age_sex",)))
        if totals.names["covariate"]:
            found.append(TotalsModel("age_sex_covariates", "competitor", ("age_sex", "covariate")))
        if totals.names["flag"]:
            found.append(TotalsModel("chronic", "the proposal", ("age_sex", "flag")))
        if totals.names["flag"] and totals.names["covariate"]:
            found.append(TotalsModel("chronic_covariates", "combination", ("age_sex", "flag", "covariate")))
    return tuple(found)


def cells_of(name: str) -> tuple[tuple[int, int], ...]:
    """(band, sex) of the five-year bands an age_sex column covers, () where its name does not say.

    ``k_60_64``, ``m_60_69``, ``k_95_up``; the last band is 100 and older.
    """
    parts = re.fullmatch(rf"([{''.join(SEXES)}])_(\d+)_(\d+|up)", name, re.IGNORECASE)
    if parts is None:
        return ()
    sex, start, end = SEXES.index(parts[1].upper()), int(parts[2]), parts[3]
    after = BAND_FROM[-1] + 5 if end.lower() == "up" else int(end) + 1
    if start not in BAND_FROM or after <= start or after not in (*BAND_FROM, BAND_FROM[-1] + 5):
        return ()
    return tuple((band, sex) for band in range(start // 5, after // 5))


# Numbers


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Amounts (p,) from all rows, predictions per listed month (K,) from all rows but each (nan where those
    cannot tell), and the rank of the design."""

    amounts: np.ndarray
    left_out: np.ndarray
    rank: int


def leave_one_out(sums: np.ndarray, cost: np.ndarray, months: np.ndarray, nonnegative: np.ndarray) -> LeaveOneOut:
    """Weighted least squares on totals, and each centre's prediction from the others, without refitting.

    With the columns whose amount is above 0 held in the design, leaving row k out changes the residual to
    r_k/(1−h_k) and the amounts by −(D'D)⁺d_k r_k/(1−h_k). Where the amounts so changed still meet the
    conditions for a minimum (Karush–Kuhn–Tucker) they are the constrained solution without k; the few rows
    where they do not are fitted again.

    Parameters
    ----------
    sums : design columns summed per centre, shape (K, p)
    cost : SEK, shape (K,)
    months : listed months > 0, shape (K,)
    nonnegative : which amounts must not be below 0, bool, shape (p,)
    """
    from threadpoolctl import threadpool_limits

    root = np.sqrt(months)
    used = (sums != 0).any(axis=0)
    design, y, bound = sums[:, used] / root[:, None], cost / root, nonnegative[used]
    scale = np.linalg.norm(design, axis=0)
    design = design / scale
    with threadpool_limits(1, "blas"):  # threaded sums differ in the last bits from run to run
        beta = _bounded_solution(design, y, bound)
        predicted, rank = _without_each(design, y, bound, beta)
    amounts = np.full(len(used), np.nan)
    amounts[used] = beta / scale
    return LeaveOneOut(amounts, predicted / root, rank)


def _without_each(design: np.ndarray, y: np.ndarray, bound: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, int]:
    """d_k'β₍ₖ₎ for every row k, shape (K,), and the rank of the whole design."""
    held = ~bound | (beta > 0)
    U, values, Vt = _svd(design[:, held])
    leverage = (U**2).sum(axis=1)
    residual = y - U @ (U.T @ y)
    alone = 1 - leverage < DUST
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = np.where(alone, np.nan, residual / (1 - leverage))
    # Amounts above 0 must stay so, and the gradient of those at 0 must not become favourable.
    ok = np.ones(len(y), dtype=bool)
    if bound.any():
        b = beta[held][:, None] - Vt.T @ ((U / values).T * left_out)
        ok &= (b[bound[held]] >= 0).all(axis=0)
        out = design[:, ~held]
        favour = (out.T @ residual)[:, None] - left_out * (out - U @ (U.T @ out)).T
        ok &= (favour <= 1e-9 * np.linalg.norm(y)).all(axis=0)
    predicted = y - left_out
    others = np.ones(len(y), dtype=bool)
    for k in np.flatnonzero(~ok & ~alone):
        others[k] = False
        predicted[k] = design[k] @ _bounded_solution(design[others], y[others], bound)
        others[k] = True
    return predicted, len(_svd(design)[1])


def _bounded_solution(design: np.ndarray, y: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """argmin ‖y − Dβ‖ with β ≥ 0 where ``bound``; of several the free part is the shortest."""
    from scipy.optimize import nnls

    beta = np.zeros(design.shape[1])
    free, add_ons = design[:, ~bound], design[:, bound]
    U, values, Vt = _svd(free)
    if bound.any():
        reduced = add_ons - U @ (U.T @ add_ons)
        reduced[:, np.linalg.norm(reduced, axis=0) < DUST] = 0  # what the free columns already say
        beta[bound] = nnls(reduced, y - U @ (U.T @ y))[0]
    beta[~bound] = Vt.T @ (U.T @ (y - add_ons @ beta[bound]) / values)
    return beta


def _svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, singular values and V' of the directions that count."""
    U, values, Vt = np.linalg.svd(matrix, full_matrices=False)
    kept = values > RANK_TOLERANCE * values.max(initial=0)
    return U[:, kept], values[kept], Vt[kept]
