"""The exact Cox partial likelihood with tied tenures and late entry, from counts per covariate pattern and tenure.

Customers with the same covariates are alike to the likelihood, so counts per pattern and tenure hold all that it needs;
to collapse rows with frequency weights would not: Efron's correction depends on how many customers are tied.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

FAR = 15.0  # log hazard ratios of features with levels do not go so far unless they grow without end
FLAT = 5.0  # standard error of a log hazard ratio from which the likelihood is flat: on the way to no end
STILL = 0.01  # standard errors: a step that matters to no error estimate
ALIASED = 1e-9  # share of a covariate's own information that the others must leave for it to count as one of its own


class RiskCounts(NamedTuple):
    """Who left and who was at risk, by stratum and tenure (T rows) and covariate pattern (P).

    Attributes
    ----------
    tenure : numpy.ndarray, shape (T,)
        Ascending within each stratum, one stratum after the other.
    first, end : numpy.ndarray of int, shape (T,)
        First row of the stratum, and that after its last one.
    net : scipy.sparse array, shape (T, P)
        Left (churned, censored or moved to another pattern) at the tenure less entered late at it: summed from a tenure
        to the end of its stratum it is the number at risk, #{exit >= t} - #{entry >= t}.
    dead : scipy.sparse array, shape (T, P)
        Churned at the tenure.
    """

    tenure: np.ndarray
    first: np.ndarray
    end: np.ndarray
    net: sparse.csr_array
    dead: sparse.csr_array

    @classmethod
    def of(
        cls, pattern, tenure, n_entered, n_events, n_censored, n_patterns: int, *, n_moved=0, stratum=0
    ) -> RiskCounts:
        """Arrange counts: one row per pattern (a number from 0) and tenure.

        `n_moved` came from other patterns less those who went to them; `stratum` is a number a row: hazards of
        different strata have nothing in common, and risk sets are formed within each.
        """
        tenure = np.asarray(tenure, float)
        times, at_time = np.unique(tenure, return_inverse=True)
        strata, of_row = np.unique(np.broadcast_to(stratum, tenure.shape), return_inverse=True)
        keys, row = np.unique(of_row * max(len(times), 1) + at_time, return_inverse=True)
        group, time = np.divmod(keys, max(len(times), 1))
        bounds = np.searchsorted(group, np.arange(len(strata) + 1))
        shape, at = (len(keys), n_patterns), (row, np.asarray(pattern))
        # observed from the first day: at risk at tenure 0 already
        late = np.where(tenure > 0, n_entered, 0) + n_moved
        left = np.asarray(n_events) + np.asarray(n_censored)
        net = sparse.coo_array(((left - late).astype(float), at), shape=shape).tocsr()
        dead = sparse.coo_array((np.asarray(n_events, float), at), shape=shape).tocsr()
        return cls(times[time], bounds[group], bounds[group + 1], net, dead)

    def add_from_end(self, moved: np.ndarray) -> np.ndarray:
        """Sum rows (T, K) from each tenure to the end of its stratum."""
        sums = np.vstack([moved[::-1].cumsum(axis=0)[::-1], np.zeros((1, moved.shape[1]))])
        return sums[:-1] - sums[self.end] if len(moved) and self.end[0] < len(moved) else sums[:-1]

    def add_from_start(self, values: np.ndarray) -> np.ndarray:
        """Sum values (T,) from the first tenure of a stratum to each of its tenures."""
        sums = np.r_[0.0, values.cumsum()]
        return sums[1:] - sums[self.first]

    def within(self, first: float, last: float) -> RiskCounts:
        """Keep the events of tenures in (first, last]; the risk sets stay as they are."""
        inside = ((self.tenure > first) & (self.tenure <= last)).astype(float)
        return self._replace(dead=sparse.csr_array(self.dead.multiply(inside[:, None])))


class Fit(NamedTuple):
    """A maximised partial likelihood.

    Attributes
    ----------
    beta, std_error : numpy.ndarray, shape (K,)
        Log hazard ratios; a separated one is as far as the iterations went, an aliased one 0, and neither has a
        standard error.
    covariance : numpy.ndarray, shape (K, K)
    loglik, loglik_null : float
        At `beta` and at 0.
    separated : numpy.ndarray of bool, shape (K,)
        Coefficients that grow without end: no (or every) customer with the covariate left before the others.
    aliased : numpy.ndarray of bool, shape (K,)
        Coefficients that cannot be told apart from those before them, as R's NA: nobody at risk has the covariate when
        anybody leaves, or it goes with others exactly.
    converged : bool
        Whether all the others stand still.
    """

    beta: np.ndarray
    std_error: np.ndarray
    covariance: np.ndarray
    loglik: float
    loglik_null: float
    separated: np.ndarray
    aliased: np.ndarray
    converged: bool


class PartialLikelihood:
    """Efron's (or Breslow's) partial likelihood of one set of counts, its gradient and information.

    At a tenure with d churned customers, let R be those at risk and D the churned, each with r_i = exp(x_i beta), and

        S0 = sum_R r,  S1 = sum_R r x,  S2 = sum_R r x x',   D0, D1, D2 the same over the churned,
        f_l = l / d,   phi_l = S0 - f_l D0,                  l = 0 .. d - 1        (Breslow: f_l = 0).

    The tenure adds

        to the log likelihood   sum_D x beta - sum_l log phi_l
        to the gradient         sum_D x      - sum_l (S1 - f_l D1) / phi_l
        to the information      sum_l (S2 - f_l D2) / phi_l - (S1 - f_l D1)(S1 - f_l D1)' / phi_l^2.

    S0 and S1 come from one product of the sparse counts with (r, r x), summed from the last tenure back. The sums over
    S2 need no matrix a tenure: sum_t w(t) N_p(t) of every pattern is one product with the running sum of w.

    References
    ----------
    Efron, B. (1977). The efficiency of Cox's likelihood function for censored data. JASA 72, 557-565.
    Therneau, T. M. and Grambsch, P. M. (2000). Modeling Survival Data, sections 3.1 and 3.3.
    """

    def __init__(self, counts: RiskCounts, design: np.ndarray, ties: str = "efron"):
        self.design, self.counts = design, counts
        n_dead = np.asarray(counts.dead.sum(axis=1)).ravel()
        self.times = np.flatnonzero(n_dead > 0)
        self.d = n_dead[self.times].astype(int)
        self.dead = counts.dead[self.times]
        self.first = np.cumsum(self.d) - self.d
        place = np.arange(self.d.sum()) - np.repeat(self.first, self.d)
        self.fraction = place / np.repeat(self.d, self.d) if ties == "efron" else np.zeros(len(place))

    def at(
        self, beta: np.ndarray, weight: np.ndarray | float = 1.0, *, with_information: bool = True
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Give log likelihood, gradient (K,) and information (K, K) at a coefficient vector.

        What each tenure with events adds may be multiplied by a weight of its own (E,).
        """
        x, weight = self.design, np.broadcast_to(weight, self.d.shape)
        # a constant in x beta cancels; without it exp() could overflow
        eta = x @ beta
        highest = eta.max(initial=0.0)
        r = np.exp(eta - highest)
        risk_sums, dead_sums = self._sums(r)
        w = {name: sums * weight for name, sums in self._weights(risk_sums[:, 0], dead_sums[:, 0]).items()}
        s1, d1 = risk_sums[:, 1:], dead_sums[:, 1:]
        total = (self.dead.T @ weight) @ x  # the churned customers' covariates, summed
        loglik = float(total @ beta - w["log"].sum() - highest * (self.d @ weight))
        gradient = total - np.einsum("ek,e->k", s1, w["1"]) + np.einsum("ek,e->k", d1, w["f"])
        if not with_information:
            return loglik, gradient, None
        outer = _weighted(s1, w["2"], s1) + _weighted(d1, w["ff"], d1)
        cross = _weighted(s1, w["2f"], d1)
        information = _weighted(x, self._second_moments(r, w), x) - outer + cross + cross.T
        return loglik, gradient, information

    def _sums(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(S0, S1) and (D0, D1) at the tenures with events: shape (E, 1 + K) each."""
        columns = np.column_stack([r, r[:, None] * self.design])
        return self.counts.add_from_end(self.counts.net @ columns)[self.times], self.dead @ columns

    def _weights(self, s0: np.ndarray, d0: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over l of log phi, 1/phi, f/phi, 1/phi^2, f/phi^2 and f^2/phi^2, one a tenure."""
        f = self.fraction
        phi = np.repeat(s0, self.d) - f * np.repeat(d0, self.d)
        v = 1 / phi
        terms = {"log": np.log(phi), "1": v, "f": f * v, "2": v * v, "2f": f * v * v, "ff": f * f * v * v}
        return {name: np.add.reduceat(term, self.first) for name, term in terms.items()}

    def _second_moments(self, r: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
        """r_p times the sum over tenures of w1 N_p - wf D_p: what every pattern's x x' counts in sum S2, D2."""
        running = np.zeros(len(self.counts.tenure))
        running[self.times] = w["1"]
        return r * (self.counts.net.T @ self.counts.add_from_start(running) - self.dead.T @ w["f"])


def _weighted(a: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a' diag(w) b of long, narrow matrices, for which the threads of a matrix product cost more than they save."""
    return np.einsum("ei,ej->ij", a * w[:, None], b)


def maximise(likelihood: PartialLikelihood, tolerance: float = 1e-9, most: int = 25) -> Fit:
    """Maximise a partial likelihood by Newton's method, halving steps that go too far.

    Parameters
    ----------
    likelihood : PartialLikelihood
    tolerance : float
        Largest step at which the coefficients stand still.
    most : int
        Iterations; a separated coefficient grows by about 1 in each, while the likelihood stands still.

    Returns
    -------
    Fit
    """
    k = likelihood.design.shape[1]
    beta, step, n = np.zeros(k), np.full(k, np.inf), 0
    loglik, gradient, information = likelihood.at(beta)
    null, gone = loglik, aliased(information)
    free = np.ix_(~gone, ~gone)
    while not gone.all() and np.abs(step[~gone]).max() > tolerance and n < most:
        step, n = np.zeros(k), n + 1
        step[~gone] = np.linalg.lstsq(information[free], gradient[~gone], rcond=None)[0]
        candidate = likelihood.at(beta + step)
        while not candidate[0] >= loglik - 1e-9 * abs(loglik) and np.abs(step).max() > tolerance:
            step = step / 2
            candidate = likelihood.at(beta + step)
        beta, (loglik, gradient, information) = beta + step, candidate
    separated = (np.abs(beta) > FAR) & ~gone | (np.abs(step) > 1e-3) * (n == most)
    covariance = _inverse(information, separated | gone)
    separated |= np.diag(covariance) > FLAT**2
    covariance = _inverse(information, separated | gone)
    std_error = np.sqrt(np.diag(covariance))
    converged = bool(n < most or separated.any())
    return Fit(beta, std_error, covariance, loglik, null, separated, gone, converged)


def maximise_near(likelihood: PartialLikelihood, fit: Fit, tolerance: float = 1e-7, most: int = 25) -> np.ndarray:
    """Maximise the likelihood of nearly the same counts: from the other maximum, with its covariance for the steps.

    Returns
    -------
    numpy.ndarray, shape (K,)
        Coefficients; missing where they do not stand still.
    """
    beta, covariance = fit.beta.copy(), np.nan_to_num(fit.covariance)
    for _ in range(most):
        step = covariance @ likelihood.at(beta, with_information=False)[1]
        beta = beta + step
        if not np.abs(step).max(initial=0.0) > tolerance:
            break
    return np.where(np.abs(step) > STILL * fit.std_error, np.nan, beta)


def aliased(information: np.ndarray, tolerance: float = ALIASED) -> np.ndarray:
    """Find the covariates that are sums of those before them: Cholesky's decomposition leaves nothing of them.

    References
    ----------
    Therneau, T. M., survival (R), coxph: singular.ok.
    """
    left, out = information.copy(), np.zeros(len(information), bool)
    for j, own in enumerate(np.diag(information)):
        out[j] = not left[j, j] > tolerance * max(own, 0.0)
        if not out[j]:
            left -= np.outer(left[:, j], left[j]) / left[j, j]
    return out


def _inverse(information: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Invert the information of the coefficients that can be estimated; NaN for the others."""
    covariance = np.full(information.shape, np.nan)
    kept = np.flatnonzero(~without)
    if len(kept):
        covariance[np.ix_(kept, kept)] = np.linalg.pinv(information[np.ix_(kept, kept)], hermitian=True)
    return covariance
