"""Many groups at once: what each varies by, and how far it departs, drawn towards what all groups show together.

A group of a few hundred customers tells little of its own rate and less of its months' spread: read by itself it is now
too narrow, so that chance raises alarms, now too wide, so that nothing ever does. Each group's own value and the common
one are weighted by how well the first is known: a hierarchical model, by empirical Bayes.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import beta, nbinom

from churnlib.trend.pchart import FALSE_ALARM

SIZES = np.linspace(1, 20, 39)  # logs of how alike units are: from nothing in common to all the same


def shrunk_variation(variance: np.ndarray, freedom: np.ndarray, expected: np.ndarray):
    """Draw the groups' variation beyond chance towards their common one.

    The rate of a group varies from period to period by a share of itself whose variance, (s^2 - 1) / expected losses,
    has nothing to do with the group's size; across groups it is taken as normal about a common value, whose spread is
    found by the method of moments.

    Parameters
    ----------
    variance, freedom : numpy.ndarray, shape (n_groups,)
        Of the baseline's z-scores (1 by chance alone), and its degrees of freedom.
    expected : numpy.ndarray, shape (n_groups,)
        Losses expected in a period.

    Returns
    -------
    variance, freedom : numpy.ndarray
        Drawn together; the freedom grows with what is borrowed, at most to that of all groups.

    References
    ----------
    DerSimonian, R. and Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical Trials 7, 177-188.
    Morris, C. N. (1983). Parametric empirical Bayes inference. JASA 78, 47-55.
    """
    own = (variance - 1) / expected
    # the variance of s^2 is 2 sigma^4 / freedom; sigma^2 is what the common value makes it, not a lucky group's own
    common = 0.0
    for _ in range(20):
        error = 2 * (1 + common * expected) ** 2 / freedom / expected**2
        common = max(float(np.average(own, weights=1 / error)), 0.0)
    weight = 1 / error
    scatter = float((weight * (own - common) ** 2).sum()) - (len(own) - 1)
    between = max(scatter / max(weight.sum() - (weight**2).sum() / weight.sum(), 1e-300), 0.0)
    kept = between / (between + error)
    drawn = np.maximum(common + kept * (own - common), 0.0)
    return 1 + drawn * expected, np.minimum(freedom / np.maximum(kept, 1e-9), freedom.sum())


def shrunk_departures(deviation: np.ndarray) -> np.ndarray:
    """Draw departures towards the mean of all groups: the one that is looked at because it is largest is partly luck.

    Posterior means under a normal distribution of true departures, found by the method of moments: of deviations in
    standard deviations of a further period, missing where a group is not judged.
    """
    known = np.isfinite(deviation)
    if not known.any():
        return deviation
    mean = deviation[known].mean()
    between = max(float(((deviation[known] - mean) ** 2).sum()) / max(known.sum() - 1, 1) - 1, 0.0)
    return mean + (deviation - mean) * between / (between + 1)


def count_tails(lost: np.ndarray, expected: np.ndarray, spread: np.ndarray):
    """Give the two-sided p-values of counts, and the lowest and highest usual ones.

    Negative binomial of the same mean and variance as the chart's normal limits (`spread` is in units of chance): where
    few are lost, chance alone reaches further up than a normal curve has it.
    """
    mean, square = np.maximum(expected, 1e-9), np.maximum(spread**2, 1 + 1e-6)  # so near 1 it is Poisson's
    law = nbinom(mean / (square - 1), 1 / square)
    below, above = law.cdf(lost), law.sf(lost - 1)
    lowest, highest = (law.ppf(q) for q in (FALSE_ALARM / 2, 1 - FALSE_ALARM / 2))
    return np.minimum(2 * np.minimum(below, above), 1.0), lowest, highest


def shrink(d: np.ndarray, n: np.ndarray, conf_level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shrink units' rates towards each other (beta-binomial, fitted by maximum likelihood).

    Returns
    -------
    shrunk, lower, upper : numpy.ndarray
        Mean and equal-tailed interval of each unit's true rate. The interval also holds how little is known of what the
        units have in common and of how much they differ (flat in the variance of their rates): of units that seem
        alike none is known exactly.

    References
    ----------
    Morris, C. N. (1983). Parametric empirical Bayes inference. JASA 78, 47-55.
    """
    a, b = beta_posterior(d, n)
    shrunk = a / (a + b)
    mean, size = (d.sum() + 0.5) / (n.sum() + 1), np.exp(SIZES)[:, None]
    likelihood = _evidence(d, n, mean, size).sum(axis=1) - SIZES
    weight = np.exp(likelihood - likelihood.max())
    after = (d + mean * size) / (n + size)
    common = mean * (1 - mean) / np.maximum((n * size / (n + size)).sum(axis=1, keepdims=True), 1e-300)
    spread = after * (1 - after) / (n + size + 1) + (size / (n + size)) ** 2 * common + (after - shrunk) ** 2
    worth = shrunk * (1 - shrunk) / np.average(spread, axis=0, weights=weight) - 1
    tail, ends = (1 - conf_level) / 2, (shrunk * worth, (1 - shrunk) * worth)
    return shrunk, beta.ppf(tail, *ends), beta.ppf(1 - tail, *ends)


def _evidence(d: np.ndarray, n: np.ndarray, mean: float, size) -> np.ndarray:
    """Give the log likelihood of units' losses when their rates have a beta distribution of this mean and size."""
    a, b = mean * size, (1 - mean) * size
    return betaln(d + a, n - d + b) - betaln(a, b)


def beta_posterior(d: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the beta distribution of each unit's true rate, by its own losses and what all units show.

    References
    ----------
    Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 5.3: a hierarchical binomial model, here with the
    distribution of the true rates at its maximum likelihood.
    """
    a, b = beta_prior(d, n)
    return d + a, n - d + b


def beta_prior(d: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Fit the distribution of the units' true rates: a beta distribution, by maximum likelihood."""
    mean = (d.sum() + 0.5) / (n.sum() + 1)
    if len(n) < 2:
        return float(mean), float(1 - mean)

    def loss(x: np.ndarray) -> float:
        return -float(_evidence(d, n, 1 / (1 + np.exp(-x[0])), np.exp(np.clip(x[1], -5, 20))).sum())

    found = minimize(loss, [np.log(mean / (1 - mean)), np.log(200.0)], method="Nelder-Mead").x
    m, size = 1 / (1 + np.exp(-found[0])), float(np.exp(np.clip(found[1], -5, 20)))
    return float(m * size), float((1 - m) * size)
