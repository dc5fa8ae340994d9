"""Series of losses whose months vary by more than chance: what every method over time has to stand."""

import numpy as np

RATE = 0.018
SIZES = (2_000, 20_000, 2_000_000)
LIKENESS = (0.0, 0.5)  # of neighbouring months: independent, AR(.5)


def noise(rng, n: int, likeness: float = 0.0, spread: float = 0.1) -> np.ndarray:
    """Draw logit noise of n months with a given standard deviation and lag-1 correlation."""
    e = rng.normal(0, spread, n)
    for i in range(1, n):
        e[i] = likeness * e[i - 1] + np.sqrt(1 - likeness**2) * e[i]
    return e


def losses(rng, n: int, size: int, likeness: float = 0.0, log_shift=0.0, rate: float = RATE) -> np.ndarray:
    """Draw how many of `size` customers leave in each of n months; `log_shift` is a number a month, or one for all."""
    logit = np.log(rate / (1 - rate)) + noise(rng, n, likeness) + log_shift
    return rng.binomial(size, 1 / (1 + np.exp(-logit)))
