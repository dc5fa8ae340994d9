"""Losses that go with drivers, by a fitted hazard model: shares of overlapping drivers, intervals, checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2, false_discovery_control
from scipy.stats import t as student

from churnlib.intervals import block_variance
from churnlib.reasons.drivermodel import Fit, Panel, hazards

DECILES = 10


def panel_of(counts) -> Panel:
    """Take the counts apart into arrays; a driver's last level that belongs to the controls becomes a control."""
    controls, drivers = [], []
    for factor in counts.factors:
        codes, size = counts.patterns[factor.name].to_numpy(np.int64), len(factor.levels)
        if factor.beside:
            controls.append(((codes == size - 1) * 1, 2))
            codes, size = np.where(codes == size - 1, 0, codes), size - 1
        (drivers if factor.group else controls).append((codes, size))
    codes, sizes = zip(*controls, *drivers, strict=True)
    frame = counts.frame
    cells = tuple(frame[c].to_numpy(kind) for c, kind in _CELLS.items())
    n, y = (np.bincount(cells[0], w, len(counts.patterns)) for w in cells[2:])
    n_blocks = int(frame["block"].max()) + 1 if len(frame) else 2
    return Panel(list(codes), list(sizes), len(controls), n, y, cells, n_blocks)


_CELLS = {"pattern": np.int64, "block": np.int64, "n_at_risk": float, "n_churned": float}


def _met(panel: Panel) -> np.ndarray:
    """Tell which drivers (rows) each pattern (column) meets, though there be none of either."""
    drivers = panel.codes[panel.n_controls :]
    return np.array([codes > 0 for codes in drivers], bool).reshape(len(drivers), len(panel.n))


def attributed(fit: Fit, codes: list[np.ndarray], n_controls: int, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each pattern's chance to leave, and how much of it goes with each driver.

    The hazard above that without drivers is shared by the mean over the straight path on which all effects grow
    together (Aumann and Shapley's value): proportional to the effects, both where they add and where they multiply.

    Returns
    -------
    chance : numpy.ndarray, shape (N,)
    parts : numpy.ndarray, shape (drivers, N)
        Add up to the chance less that with all drivers at their reference.
    """
    base, h, effects = hazards(fit, codes, n_controls, theta)
    chance, total = -np.expm1(-h), effects.sum(axis=0)
    gap = h - base
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(np.abs(gap) > 1e-12, (np.exp(-base) - np.exp(-h)) / gap, np.exp(-h))
        rise = np.where(1 + total > 0 if fit.adds else np.abs(total) <= 1e-9, base, gap / total)
    return chance, effects * (rise * slope)


def losses_with(panel: Panel, fit: Fit, inside: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Attributable and all losses of the exposed, for every set of drivers: all customers, and without each block.

    Of those exposed it is the losses that happened less those expected with all drivers at their reference: by the
    model's shares, and what it missed of them in equal parts to the drivers that met them. So only the expectation
    without drivers leans on the model, not its form of their effects, which may differ among customers.

    Returns
    -------
    whole : numpy.ndarray, shape (2, sets)
    without : numpy.ndarray, shape (B, 2, sets)
        Scaled up to the size of the whole.
    """
    met = _met(panel)
    rows = np.flatnonzero(inside & fit.used & met.any(axis=0))
    codes, met = [k[rows] for k in panel.codes], met[:, rows]
    estimated = [c[k] >= 0 for c, k in zip(fit.columns, codes, strict=True)][panel.n_controls :]
    known = met & np.array(estimated, bool).reshape(met.shape)
    split = known / np.maximum(known.sum(axis=0), 1)
    touched = (parts.astype(float) @ met) > 0
    place = np.full(len(panel.n), -1)
    place[rows] = np.arange(len(rows))
    pattern, block, n, y = panel.cells
    kept = place[pattern] >= 0
    order = np.argsort(block[kept], kind="stable")
    at, n, y = (values[kept][order] for values in (place[pattern], n, y))
    edges = np.searchsorted(block[kept][order], np.arange(panel.n_blocks + 1))

    def sums(theta: np.ndarray, n: np.ndarray, y: np.ndarray) -> np.ndarray:
        chance, shares = attributed(fit, codes, panel.n_controls, theta)
        return np.stack([parts @ (shares @ n + split @ (y - n * chance)), touched @ y])

    out = []
    for b, theta in enumerate(fit.replicates):
        own = slice(edges[b], edges[b + 1])
        rest = [w[rows] - np.bincount(at[own], v[own], len(rows)) for w, v in ((panel.n, n), (panel.y, y))]
        out.append(sums(theta, *rest) * panel.n_blocks / (panel.n_blocks - 1))
    return sums(fit.theta, panel.n[rows], panel.y[rows]), np.array(out).reshape(panel.n_blocks, 2, len(parts))


def intervals(whole: np.ndarray, without: np.ndarray, conf_level: float) -> pd.DataFrame:
    """Turn replicates into intervals, on the scale of the log of the losses: few losses skew them as they should.

    The p-value is the larger of two, from the error of the losses and from that of the log of observed by expected:
    with few losses each of them alone finds something too often.
    """
    value, lost = whole
    b = len(without)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = -np.log(1 - value / lost)
        z = np.sqrt(block_variance(without[:, 0])) / lost
        statistic = np.where(np.isfinite(log_ratio), np.abs(log_ratio), np.abs(value) / lost) / z
        own = np.abs(log_ratio) / np.sqrt(block_variance(np.log(1 - without[:, 0] / without[:, 1])))
        p = 2 * student.sf(np.fmin(statistic, own), b - 1)
        reach = student.ppf((1 + conf_level) / 2, b - 1) * z
        ends = [lost * np.exp(side * reach) - (lost - value) for side in (-1, 1)]
    return pd.DataFrame({"attributable": value, "ci_lower": ends[0], "ci_upper": ends[1], "p_value": p})


def exposed_losses(panel: Panel, inside: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customer-months and losses under each set of drivers, and Levin's crude attributable number."""
    exposed = _met(panel)
    touched = (parts.astype(float) @ exposed) > 0
    n, y = panel.n * inside, panel.y * inside
    n_exposed, lost = touched @ n, touched @ y
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (lost / n_exposed) / ((y.sum() - lost) / (n.sum() - n_exposed))
        crude = y.sum() * levin(n_exposed / n.sum(), ratio)
    return n_exposed.astype(int), lost.astype(int), crude


def levin(p_exposed, ratio):
    """Give Levin's crude attributable fraction: the share of losses that an unadjusted comparison ascribes.

    Examples
    --------
    >>> round(float(levin(0.2, 5)), 4)
    0.4444

    References
    ----------
    Levin, M. L. (1953). The occurrence of lung cancer in man. Acta Unio Int. Contra Cancrum 9, 531-541.
    """
    excess = np.asarray(p_exposed, float) * (np.asarray(ratio, float) - 1)
    return excess / (1 + excess)


def losses_alone(panel: Panel, fit: Fit, inside: np.ndarray) -> np.ndarray:
    """What each driver would save if it alone were at its reference."""
    rows = np.flatnonzero(inside & fit.used)
    codes = [k[rows] for k in panel.codes]
    h = hazards(fit, codes, panel.n_controls)[1]
    out = []
    for f in range(panel.n_controls, len(codes)):
        cleared = [np.zeros_like(k) if g == f else k for g, k in enumerate(codes)]
        out.append(float((panel.n[rows] * (np.exp(-hazards(fit, cleared, panel.n_controls)[1]) - np.exp(-h))).sum()))
    return np.array(out)


def discoveries(p_values, level: float) -> np.ndarray:
    """Tell which of several tests stand when the share of false ones among them is held at a level."""
    p = np.nan_to_num(np.asarray(p_values, float), nan=1.0)
    return false_discovery_control(p) <= level if len(p) else p > 1


def calibrated(panel: Panel, fit: Fit, inside: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Hold observed against expected losses by tenths of rising risk, and test them together.

    References
    ----------
    Hosmer, D. W. and Lemeshow, S. (1980). Goodness of fit tests for the multiple logistic regression model.
    Communications in Statistics A9, 1043-1069.
    """
    rows = np.flatnonzero(inside & fit.used)
    _, h, _ = hazards(fit, [k[rows] for k in panel.codes], panel.n_controls)
    p, n, y = -np.expm1(-h), panel.n[rows], panel.y[rows]
    order = np.argsort(p, kind="stable")
    running = np.cumsum((n * p)[order])
    tenth = np.minimum((DECILES * running / max(running[-1] if len(rows) else 1, 1e-300)).astype(int), DECILES - 1)
    sums = [np.bincount(tenth, w[order], DECILES) for w in (n, y, n * p, n * p * (1 - p))]
    table = pd.DataFrame(dict(zip(("n_at_risk", "n_churned", "expected"), sums[:3], strict=True)))
    used = sums[3] > 0
    statistic = (np.square(sums[1] - sums[2])[used] / sums[3][used]).sum()
    return table, float(chi2.sf(statistic, max(used.sum() - 2, 1))) if len(rows) else np.nan
