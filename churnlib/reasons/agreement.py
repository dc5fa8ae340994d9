"""How far two codings of the same things agree beyond chance."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri


def cohens_kappa(counts, conf_level: float = 0.95) -> tuple[float, float, float]:
    """Measure the agreement of two coders beyond what their margins would give by chance.

    Parameters
    ----------
    counts : array-like, shape (n_codes, n_codes)
        Things by the code of the first coder (rows) and of the second (columns).
    conf_level : float

    Returns
    -------
    kappa, lower, upper : float
        At most 1; 0 is chance. NaN where one coder used a single code, or there is nothing to judge.

    References
    ----------
    Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological Measurement 20,
    37-46. Fleiss, J. L., Cohen, J. and Everitt, B. S. (1969). Large sample standard errors of kappa and weighted kappa.
    Psychological Bulletin 72, 323-327, equation 13.
    """
    table = np.asarray(counts, float)
    n = table.sum()
    p = table / n if n else table
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = np.trace(p), float(rows @ columns)
    if not n or expected >= 1 or (rows == 1).any() or (columns == 1).any():
        return np.nan, np.nan, np.nan
    kappa = (observed - expected) / (1 - expected)
    same = np.diag(p) @ ((1 - expected) - (rows + columns) * (1 - observed)) ** 2
    other = p * (columns[:, None] + rows[None, :]) ** 2
    apart = (1 - observed) ** 2 * (other.sum() - np.trace(other))
    variance = (same + apart - (observed * expected - 2 * expected + observed) ** 2) / (n * (1 - expected) ** 4)
    half = ndtri((1 + conf_level) / 2) * np.sqrt(max(variance, 0.0))
    return float(kappa), float(max(kappa - half, -1.0)), float(min(kappa + half, 1.0))
