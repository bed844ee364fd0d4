"""Exposure-weighted least squares from sums: pure kernels on arrays.

The design of a row is one of 42 age × sex cells and a number of 0/1 condition flags. Everything a fit
needs is X'WX and X'Wy with y = C/e (cost per listed month) and W = diag(e), so that X'Wy is simply the
cost summed over each column. Both are kept per fold; what is left out is subtracted, never refitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lakemedelsmodell.facts import N_CELLS

BLOCK_ROWS = 1 << 16

DUST = 1e-9
"""Share of a flag's months below which what its cells leave of it is rounding, not information."""


@dataclass(frozen=True)
class NormalEquations:
    """Sums of the design in F folds; p = 42 cells + C flags.

    Attributes
    ----------
    xtx : float64, shape (F, p, p)
        Listed months (times weight) shared by each pair of columns.
    xty : float64, shape (F, p)
        Cost (times weight) per column, SEK.
    """

    xtx: np.ndarray
    xty: np.ndarray

    def total(self) -> NormalEquations:
        """All folds together, F = 1."""
        return NormalEquations(self.xtx.sum(axis=0, keepdims=True), self.xty.sum(axis=0, keepdims=True))

    def without_each(self) -> NormalEquations:
        """Everything but fold f, for each f."""
        whole = self.total()
        return NormalEquations(whole.xtx - self.xtx, whole.xty - self.xty)


@cache
def _blas() -> Any:
    """What limits BLAS to one thread; to find the libraries takes longer than a small fit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def normal_equations(cell: np.ndarray, flags: np.ndarray, exposure: np.ndarray, cost: np.ndarray,
                     fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
    """X'WX and X'Wy per fold.

    Parameters
    ----------
    cell : integers 0..41, shape (n,)
    flags : bool, shape (n, C)
    exposure : listed months times weight, shape (n,)
    cost : SEK times weight, shape (n,)
    fold : integers 0..n_folds-1, shape (n,), or None for one fold
    """
    n, C = flags.shape
    p = N_CELLS + C
    fold = np.zeros(n, dtype=np.int64) if fold is None else fold.astype(np.int64)
    xtx, xty = np.zeros((n_folds, p, p)), np.zeros((n_folds, p))
    at = fold * N_CELLS + cell
    diagonal = np.arange(N_CELLS)
    xtx[:, diagonal, diagonal] = np.bincount(at, exposure, n_folds * N_CELLS).reshape(n_folds, N_CELLS)
    xty[:, :N_CELLS] = np.bincount(at, cost, n_folds * N_CELLS).reshape(n_folds, N_CELLS)
    if not C:
        return NormalEquations(xtx, xty)

    # Most people carry no flag: from here on only the rows that do, by fold and cell.
    rows = np.flatnonzero(flags.any(axis=1))
    rows = rows[np.argsort(at[rows], kind="stable")]
    starts = np.searchsorted(fold[rows], np.arange(n_folds + 1))
    with _blas().limit(limits=1, user_api="blas"):  # threaded sums differ in the last bits from run to run
        for f in range(n_folds):
            for lo in range(starts[f], starts[f + 1], BLOCK_ROWS):
                block = rows[lo:min(lo + BLOCK_ROWS, starts[f + 1])]
                on = flags[block].astype(np.float64)
                weighted = on * exposure[block, None]
                new_cell = np.flatnonzero(np.diff(cell[block], prepend=-1))
                xtx[f, cell[block[new_cell]], N_CELLS:] += np.add.reduceat(weighted, new_cell)
                xtx[f, N_CELLS:, N_CELLS:] += on.T @ weighted
                xty[f, N_CELLS:] += cost[block] @ on
    xtx[:, N_CELLS:, :N_CELLS] = np.swapaxes(xtx[:, :N_CELLS, N_CELLS:], 1, 2)
    return NormalEquations(xtx, xty)


def cells_and_add_ons(xtx: np.ndarray, xty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimise Σ e (C/e − x'β)² over cells (free) and add-ons (≥ 0).

    The cells are partialled out, S = G − M'D⁻¹M and r = X_f'Wy − M'D⁻¹X_c'Wy, and the add-ons solve the
    non-negative problem with ‖S^½ b − S^−½ r‖. Every cell and every add-on above 0 then has predictive
    ratio 1.

    Returns
    -------
    cells : SEK of cost per listed month, shape (42,); nan where nobody is listed
    add_ons : SEK of cost per listed month, shape (C,), ≥ 0; nan for a flag nobody carries
    """
    months, spent = np.diag(xtx)[:N_CELLS], xty[:N_CELLS]
    crossed, shared, flag_spent = xtx[:N_CELLS, N_CELLS:], xtx[N_CELLS:, N_CELLS:], xty[N_CELLS:]
    lived = months > 0
    per_month = np.divide(1.0, months, out=np.zeros_like(months), where=lived)
    held = np.diag(shared) > 0
    add_ons = np.full(len(held), np.nan)
    if held.any():
        crossed = crossed[:, held]
        reduced = shared[np.ix_(held, held)] - crossed.T @ (per_month[:, None] * crossed)
        linear = flag_spent[held] - crossed.T @ (per_month * spent)
        # Per flagged month, so that a flag that cannot be told from its cells shows as nothing.
        scale = np.sqrt(np.diag(shared)[held])
        add_ons[held] = nonnegative_solution(reduced / np.outer(scale, scale), linear / scale) / scale
    cells = (spent - xtx[:N_CELLS, N_CELLS:] @ np.nan_to_num(add_ons)) * per_month
    return np.where(lived, cells, np.nan), add_ons


def bounded(xtx: np.ndarray, xty: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """:func:`cells_and_add_ons` with add-ons no higher than ``upper``, shape (C,): what is over is held there and the
    rest solved again, since they then take over its cost. An add-on nobody carries is 0."""
    C = len(upper)
    at = np.zeros(C, dtype=bool)
    while True:
        fixed = len(xty) - C + np.flatnonzero(at)
        left, spent = xtx.copy(), xty - xtx[:, fixed] @ upper[at]
        left[fixed], left[:, fixed] = 0.0, 0.0
        cells, add_ons = cells_and_add_ons(left, spent)
        add_ons = np.where(at, upper, np.nan_to_num(add_ons))
        over = add_ons > upper
        if not over.any():
            return cells, add_ons
        at |= over


def nonnegative_solution(quadratic: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """argmin over b ≥ 0 of ½ b'Sb − r'b, S positive semi-definite (collinear columns allowed), shape (C, C).

    S is to be on the scale of 1 (per flagged month, say): columns and directions below 1e-9 count as nothing, and a
    column of nothing gets 0.
    """
    from scipy.optimize import nnls

    told = np.diag(quadratic) > DUST
    solution = np.zeros(len(linear))
    if told.any():
        values, vectors = np.linalg.eigh(quadratic[np.ix_(told, told)])
        vectors, root = vectors[:, values > DUST], np.sqrt(values[values > DUST])
        solution[told] = nnls(root[:, None] * vectors.T, vectors.T @ linear[told] / root)[0]
    return solution


def borrow_empty_cells(cells: np.ndarray) -> np.ndarray:
    """Amounts of shape (21, 2) where a cell nobody was listed in takes that of the nearest band of its sex.

    Of two equally near the younger lends. A sex without anybody stays nan.
    """
    filled = cells.copy()
    for column in filled.T:
        known = np.flatnonzero(~np.isnan(column))
        for band in np.flatnonzero(np.isnan(column)) if len(known) else ():
            column[band] = column[known[np.argmin(np.abs(known - band))]]
    return filled


def slope_equations(cell: np.ndarray, columns: np.ndarray, exposure: np.ndarray, cost: np.ndarray,
                    fold: np.ndarray | None = None, n_folds: int = 1) -> NormalEquations:
    """X'WX and X'Wy per fold for cells and a few columns of numbers, shape (n, q).

    The rest is as for :func:`normal_equations`.
    """
    n, q = columns.shape
    fold = np.zeros(n, dtype=np.int64) if fold is None else fold.astype(np.int64)
    at = fold * N_CELLS + cell
    xtx, xty = np.zeros((n_folds, N_CELLS + q, N_CELLS + q)), np.zeros((n_folds, N_CELLS + q))
    diagonal = np.arange(N_CELLS)
    xtx[:, diagonal, diagonal] = np.bincount(at, exposure, n_folds * N_CELLS).reshape(n_folds, N_CELLS)
    xty[:, :N_CELLS] = np.bincount(at, cost, n_folds * N_CELLS).reshape(n_folds, N_CELLS)
    for i in range(q):
        weighted = exposure * columns[:, i]
        crossed = np.bincount(at, weighted, n_folds * N_CELLS).reshape(n_folds, N_CELLS)
        xtx[:, N_CELLS + i, :N_CELLS] = xtx[:, :N_CELLS, N_CELLS + i] = crossed
        for j in range(i, q):
            both = np.bincount(fold, weighted * columns[:, j], n_folds)
            xtx[:, N_CELLS + i, N_CELLS + j] = xtx[:, N_CELLS + j, N_CELLS + i] = both
        xty[:, N_CELLS + i] = np.bincount(fold, cost * columns[:, i], n_folds)
    return NormalEquations(xtx, xty)


def least_squares(xtx: np.ndarray, xty: np.ndarray) -> np.ndarray:
    """Any sign: the shortest β (per root month of its column) that minimises Σ e (C/e − x'β)², shape (p,).

    nan for a column nobody is in.
    """
    used = np.diag(xtx) > 0
    scale = np.sqrt(np.diag(xtx)[used])
    beta = np.full(len(used), np.nan)
    beta[used] = np.linalg.pinv(xtx[np.ix_(used, used)] / np.outer(scale, scale), DUST, hermitian=True) @ (
        xty[used] / scale) / scale
    return beta


def constrained_solution(quadratic: np.ndarray, free: np.ndarray, rows: np.ndarray, bounds: np.ndarray,
                         equal: np.ndarray) -> np.ndarray:
    """argmin (β − β̂)'Q(β − β̂) with Aβ ≥ c, and Aβ = c where ``equal``.

    Where every row binds this is constrained regression in closed form, β̂ − Q⁻¹A'(AQ⁻¹A')⁻¹(Aβ̂ − c) (van Kleef,
    McGuire, van Vliet & van de Ven 2017). With Q = R'R and z = R(β − β̂) it is the point nearest to 0 within
    half-spaces, which non-negative least squares finds (Lawson & Hanson 1974, ch. 23).

    Parameters
    ----------
    quadratic : Q, positive semi-definite, shape (p, p), no column of nothing
    free : β̂, shape (p,)
    rows, bounds, equal : A, shape (m, p); c, shape (m,); bool, shape (m,)

    Raises ValueError when no β meets all rows.
    """
    scale = np.sqrt(np.diag(quadratic))
    values, vectors = np.linalg.eigh(quadratic / np.outer(scale, scale))
    told = values > DUST
    unroot = vectors[:, told] / np.sqrt(values[told]) / scale[:, None]  # β − β̂ = R⁻¹z
    half, short = rows @ unroot, bounds - rows @ free
    length = np.linalg.norm(half, axis=1)
    length[length == 0] = 1.0
    half, short = half / length[:, None], short / length
    met = np.linalg.pinv(half[equal]) @ short[equal]
    left = short[~equal] - half[~equal] @ met
    _, size, across = np.linalg.svd(half[equal])
    along = across[(size > DUST).sum():].T  # directions that leave the equalities met
    return free + unroot @ (met + along @ _nearest(half[~equal] @ along, left))


def _nearest(half: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The shortest z with Gz ≥ h, shape (q,)."""
    from scipy.optimize import nnls

    if not (bounds > 0).any():
        return np.zeros(half.shape[1])
    size = np.abs(bounds).max()
    target = np.append(np.zeros(half.shape[1]), 1.0)
    stacked = np.vstack([half.T, bounds / size])
    residual = stacked @ nnls(stacked, target)[0] - target
    if np.linalg.norm(residual) < DUST:
        raise ValueError("no solution meets all constraints")
    return -size * residual[:-1] / residual[-1]


def within_centres(xtx: np.ndarray, xty: np.ndarray, sums: np.ndarray, cost: np.ndarray,
                   months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells (free) and add-ons (≥ 0) beside one dummy per centre, which is neutralised: set to what it is on average.

    Parameters
    ----------
    xtx, xty : sums of the design over all rows, shapes (p, p) and (p,)
    sums, cost, months : per centre: design columns (K, p), SEK (K,) and listed months (K,)

    Returns
    -------
    cells, add_ons : as :func:`cells_and_add_ons`; amounts pay back Σ C over all rows
    """
    listed = months > 0
    means = sums[listed] / months[listed, None]
    inside, linear = xtx - means.T @ sums[listed], xty - means.T @ cost[listed]
    cells_months = np.diag(xtx)[:N_CELLS]
    lived, held = cells_months > 0, np.diag(xtx)[N_CELLS:] > 0
    c, f = np.flatnonzero(lived), N_CELLS + np.flatnonzero(held)
    root = np.sqrt(cells_months[lived])
    given = np.linalg.pinv(inside[np.ix_(c, c)] / np.outer(root, root), DUST, hermitian=True) / np.outer(root, root)
    across = inside[np.ix_(f, c)]
    add_ons = np.full(len(held), np.nan)
    if len(f):
        scale = np.sqrt(np.diag(xtx)[f])
        reduced = inside[np.ix_(f, f)] - across @ given @ across.T
        add_ons[held] = nonnegative_solution(reduced / np.outer(scale, scale),
                                             (linear[f] - across @ given @ linear[c]) / scale) / scale
    paid = add_ons[held]
    cells = np.full(N_CELLS, np.nan)
    cells[lived] = given @ (linear[c] - across.T @ paid)
    total = np.diag(xtx)[f] @ paid + cells_months[lived] @ cells[lived]
    cells[lived] += (xty[:N_CELLS].sum() - total) / cells_months.sum()
    return cells, add_ons
