"""The hazard of leaving in a month by drivers, within months, bands of tenure and segments: fitted on patterns alone.

The complementary log-log model of grouped time: a customer's chance to leave is 1 - exp(-h). Controls multiply h.
Drivers multiply it too, or add to it (as causes do that each take customers of their own); which of the two is read off
the likelihood. All covariates are categories, so every sum that the fit needs is a cross-table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from churnlib.survival.efron import aliased as aliased_columns

MIN_EVENTS = 10  # churned customers (and others) of a driver's level, or there is nothing to estimate
STEPS, TOLERANCE, ALIASED = 25, 1e-9, 1e-7
UNTOLD, FAR = 3.0, 8.0  # standard error and size of a log hazard ratio beyond which it is none
FLOOR = 1e-3  # the relative hazard when drivers that keep customers add up


@dataclass(frozen=True)
class Panel:
    """Covariate patterns with customer-months at risk and losses, by block of customers.

    Attributes
    ----------
    codes : list of numpy.ndarray, each of shape (N,)
        Index of the level, one array a factor; 0 is the reference.
    sizes : list of int
        Levels of each factor.
    n_controls : int
        The first factors are controls, the others drivers.
    n, y : numpy.ndarray, shape (N,)
        At risk and churned.
    cells : tuple of numpy.ndarray
        Pattern, block, at risk, churned of every pattern and block.
    n_blocks : int
    """

    codes: list[np.ndarray]
    sizes: list[int]
    n_controls: int
    n: np.ndarray
    y: np.ndarray
    cells: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    n_blocks: int


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    adds : bool
        Drivers add to the hazard instead of multiplying it.
    columns : list of numpy.ndarray, shape (levels,)
        Place of each factor's levels in the coefficients, -1 where there is none.
    theta : numpy.ndarray, shape (P,)
        Controls: log hazards. Drivers: log hazard ratios, or relative excesses where they add.
    used : numpy.ndarray of bool, shape (N,)
        Patterns that took part.
    replicates : numpy.ndarray, shape (B, P)
        The coefficients without each block of customers.
    loglik : float
    converged : bool
    aliased : list of numpy.ndarray of bool, shape (levels,)
        Levels that cannot be told apart from the controls or from other drivers.
    """

    adds: bool
    columns: list[np.ndarray]
    theta: np.ndarray
    used: np.ndarray
    replicates: np.ndarray
    loglik: float
    converged: bool
    aliased: list[np.ndarray]


def fit_drivers(panel: Panel) -> Fit:
    """Fit the model both ways and keep the one with the higher likelihood; both have the same coefficients to fit.

    References
    ----------
    Prentice, R. L. and Gloeckler, L. A. (1978). Regression analysis of grouped survival data. Biometrics 34, 57-67.
    Thomas, D. C. (1981). General relative-risk models for survival time. Biometrics 37, 673-686.
    """
    columns, used, aliased = _columns(panel)
    plain = _maximise(panel, columns, used, aliased, adds=False)
    while (apart := _separated(panel, plain)).any():
        aliased = [a | ((c >= 0) & np.append(apart, False)[c]) for a, c in zip(aliased, plain.columns, strict=True)]
        kept = np.append(np.where(apart, -1, np.cumsum(~apart) - 1), -1)
        plain = _maximise(panel, [kept[c] for c in plain.columns], used, aliased, adds=False)
    fits = [plain, _maximise(panel, plain.columns, used, aliased, adds=True)]
    best = max(fits, key=lambda f: (f.converged, round(f.loglik, 6), not f.adds))
    return replace(best, replicates=_replicates(panel, best))


def _separated(panel: Panel, fit: Fit) -> np.ndarray:
    """Tell which levels of drivers have no finite estimate: nobody left among those to compare with, or of them."""
    cols = [c[k[fit.used]] for c, k in zip(fit.columns, panel.codes, strict=True)]
    h = hazards(fit, [k[fit.used] for k in panel.codes], panel.n_controls)[1]
    weight = panel.n[fit.used] * h**2 * np.exp(-h) / -np.expm1(-h)
    information = _information(cols, weight, None, len(fit.theta), panel.n_controls)
    error = np.sqrt(np.diag(np.linalg.pinv(information, hermitian=True))) if len(information) else np.zeros(0)
    of_driver = np.zeros(len(error) + 1, bool)
    for column in fit.columns[panel.n_controls :]:
        of_driver[column[column >= 0]] = True
    return of_driver[:-1] & ((error > UNTOLD) | (np.abs(fit.theta) > FAR))


def _columns(panel: Panel) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """Number the levels that can be estimated; patterns with any other level of too few events are left out."""
    used, wanted = panel.n > 0, [1] * panel.n_controls + [MIN_EVENTS] * (len(panel.codes) - panel.n_controls)
    while True:
        before = used.sum()
        for f, (codes, size, least) in enumerate(zip(panel.codes, panel.sizes, wanted, strict=True)):
            lost, n = (np.bincount(codes[used], w[used], size) for w in (panel.y, panel.n))
            enough = (lost >= least) & (n - lost >= least)
            if f >= panel.n_controls:
                enough[0] = True
            used &= enough[codes]
        if used.sum() == before:
            break
    columns, aliased, place = [], [], 0
    for f, (codes, size) in enumerate(zip(panel.codes, panel.sizes, strict=True)):
        there = np.bincount(codes[used], minlength=size) > 0
        there[np.flatnonzero(there)[:1] if 0 < f < panel.n_controls else slice(0, f >= panel.n_controls)] = False
        columns.append(np.where(there, place + np.cumsum(there) - 1, -1))
        place += int(there.sum())
    pooled = panel.n[used] * (panel.y[used].sum() / max(panel.n[used].sum(), 1))
    information = _information([c[k[used]] for c, k in zip(columns, panel.codes, strict=True)], pooled, None, place, 0)
    free = ~aliased_columns(information, ALIASED)
    renumber = np.append(np.where(free, np.cumsum(free) - 1, -1), -1)
    aliased = [(c >= 0) & ~np.append(free, False)[c] for c in columns]
    return [renumber[c] for c in columns], used, aliased


def _information(cols: list[np.ndarray], weight, slope, size: int, n_controls: int) -> np.ndarray:
    """Add up X'WX from cross-tables of pairs of factors; `slope` multiplies the drivers' columns."""
    out = np.zeros((size + 1, size + 1))
    scaled = [weight if slope is None or f < n_controls else weight * slope for f in range(len(cols))]
    for f, col in enumerate(cols):
        both = scaled[f] if slope is None or f < n_controls else scaled[f] * slope
        np.add.at(out, (np.arange(-1, size), np.arange(-1, size)), np.bincount(col + 1, both, size + 1))
    for f, g in combinations(range(len(cols)), 2):
        low, high = cols[f].min(initial=-1), cols[g].min(initial=-1)
        shape = (int(cols[f].max(initial=-1)) - low + 1, int(cols[g].max(initial=-1)) - high + 1)
        w = scaled[g] if f < n_controls or slope is None else scaled[g] * slope
        table = np.bincount((cols[f] - low) * shape[1] + (cols[g] - high), w, shape[0] * shape[1]).reshape(shape)
        rows, columns = np.arange(low, low + shape[0]), np.arange(high, high + shape[1])
        out[np.ix_(rows, columns)] += table
        out[np.ix_(columns, rows)] += table.T
    return out[:size, :size]


def hazards(fit: Fit, codes: list[np.ndarray], n_controls: int, theta: np.ndarray | None = None):
    """Give each pattern's hazard without any driver, its hazard, and the effects of its drivers.

    Returns
    -------
    base, hazard : numpy.ndarray, shape (N,)
    effects : numpy.ndarray, shape (drivers, N)
    """
    with_none = np.append(fit.theta if theta is None else theta, 0.0)
    every = [with_none[c][k] for c, k in zip(fit.columns, codes, strict=True)]
    base = np.exp(np.clip(np.sum(every[:n_controls], axis=0), -50, 5))
    effects = np.array(every[n_controls:]).reshape(len(every) - n_controls, len(base))
    total = effects.sum(axis=0)
    return base, base * (np.maximum(1 + total, FLOOR) if fit.adds else np.exp(np.clip(total, -50, 10))), effects


def _maximise(panel: Panel, columns, used, aliased, adds: bool) -> Fit:
    """Maximise the likelihood by scoring; a step that does not raise it is halved."""
    size = 1 + max((int(c.max(initial=-1)) for c in columns), default=-1)
    codes, n, y = [k[used] for k in panel.codes], panel.n[used], panel.y[used]
    cols = [c[k] for c, k in zip(columns, codes, strict=True)]
    theta = np.zeros(size)
    theta[columns[0][columns[0] >= 0]] = np.log(max(y.sum(), 0.5) / max(n.sum(), 1))
    fit = Fit(adds, columns, theta, used, np.empty((0, size)), -np.inf, False, aliased)

    def at(theta: np.ndarray) -> tuple:
        base, h, effects = hazards(fit, codes, panel.n_controls, theta)
        p = -np.expm1(-h)
        return h, p, base / h if adds else None, float(np.sum(y * np.log(p) - (n - y) * h))

    h, p, slope, loglik = at(theta)
    converged = size == 0
    for _ in range(STEPS):
        weight, pull = n * h**2 * np.exp(-h) / p, (y - n * p) * h / p
        score = _score(cols, pull, slope, size, panel.n_controls)
        step = np.linalg.solve(_information(cols, weight, slope, size, panel.n_controls), score) if size else score
        for _ in range(30):
            now = at(theta + step)
            if now[3] >= loglik - 1e-9 * abs(loglik):
                break
            step = step / 2
        theta, gain = theta + step, now[3] - loglik
        h, p, slope, loglik = now
        if gain <= TOLERANCE * (1 + abs(loglik)) and np.abs(step).max(initial=0) < 1e-6:
            converged = True
            break
    return replace(fit, theta=theta, loglik=loglik, converged=converged)


def _score(cols: list[np.ndarray], pull: np.ndarray, slope, size: int, n_controls: int) -> np.ndarray:
    pulls = [pull if slope is None or f < n_controls else pull * slope for f in range(len(cols))]
    return np.sum([np.bincount(c + 1, w, size + 1)[1:] for c, w in zip(cols, pulls, strict=True)], axis=0)


def _replicates(panel: Panel, fit: Fit) -> np.ndarray:
    """Give the coefficients without each block: one Newton step from the full fit.

    References
    ----------
    Wu, C. F. J. (1986). Jackknife, bootstrap and other resampling methods in regression analysis. Annals of
    Statistics 14, 1261-1295, section 6 (the one-step jackknife).
    """
    size, b = len(fit.theta), panel.n_blocks
    base, h, _ = hazards(fit, panel.codes, panel.n_controls)
    p, slope = -np.expm1(-h), base / h if fit.adds else np.ones(len(h))
    used = fit.used
    weight = panel.n * h**2 * np.exp(-h) / p
    cols = [c[k] for c, k in zip(fit.columns, panel.codes, strict=True)]
    information = _information([c[used] for c in cols], weight[used], slope[used], size, panel.n_controls)
    pattern, block, n, y = panel.cells
    pull = np.where(used[pattern], (y - n * p[pattern]) * (h / p)[pattern], 0.0)
    scores = np.zeros((b, size + 1))
    for f, col in enumerate(cols):
        w = pull if f < panel.n_controls else pull * slope[pattern]
        scores += np.bincount(block * (size + 1) + col[pattern] + 1, w, b * (size + 1)).reshape(b, size + 1)
    steps = np.linalg.solve(information, scores[:, 1:].T).T if size else scores[:, 1:]
    return fit.theta - steps * (b / (b - 1))
