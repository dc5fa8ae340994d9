"""Who could leave and who left, tenure by tenure: from the engine's counts to the arrays of every survival estimator.

Marginal counts are enough, because a risk set only needs who has entered and who has left: at risk at tenure t are the
customers with entry < t <= exit. Ties are as in R: at one tenure, churn comes before censoring, and a customer who
enters at t can leave from the next tenure on. Who was observed from the first day is at risk from tenure 0, 0 included,
so that customers who leave in their first (completed) month are not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from churnlib.about import About
from churnlib.text import UsageError

OUTCOMES = ("voluntary", "involuntary", "natural", "unknown")
DAYS_PER_MONTH = 365.25 / 12
ALL = ""  # the level that stands for all customers together


@dataclass(frozen=True)
class LifeTable:
    """Counts by level and tenure.

    Attributes
    ----------
    levels : tuple of str
        The G levels of the segment, in their order of listing.
    tenure : numpy.ndarray, shape (T,)
        Every tenure at which somebody entered or left, ascending; days, or completed months (`unit`).
    n_entered, n_events, n_censored : numpy.ndarray, shape (G, T)
        Customers who came under observation at the tenure, churned at it, were last seen at it.
    n_at_risk : numpy.ndarray, shape (G, T)
        Customers with entry < tenure <= exit.
    n_moved : numpy.ndarray, shape (G, T)
        Customers who came from another level at the tenure, less those who went to one: at risk in the new level from
        the next tenure on.
    n_customers : numpy.ndarray, shape (G,)
        Customers who were ever in the level. At one tenure a customer is in one level, so that risk sets and events
        count customers; over tenures, what enters and moves counts pieces of their time, and is shown to nobody.
    outcomes : dict of str to numpy.ndarray, shape (G, T)
        `n_events` by outcome.
    unit : {"day", "month"}
    """

    levels: tuple[str, ...]
    tenure: np.ndarray
    n_entered: np.ndarray
    n_events: np.ndarray
    n_censored: np.ndarray
    n_at_risk: np.ndarray
    n_moved: np.ndarray
    n_customers: np.ndarray
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)
    unit: str = "day"

    @property
    def n_started(self) -> np.ndarray:
        """Customers observed from their first day, one number a level."""
        return self.n_entered[:, self.tenure <= 0].sum(axis=1)

    def months(self, tenure) -> np.ndarray:
        """Give tenures in months, for axes and sentences: whole at the anniversaries, with a fraction between them."""
        tenure = np.asarray(tenure, float)
        exact = tenure / per_month(self.unit)
        whole = np.ceil(exact)
        return np.where(anniversary(whole, self.unit) == tenure, whole, exact)

    def at(self, values: np.ndarray, tenure, before: float = 0.0) -> np.ndarray:
        """Read step functions (one row a level) just after given tenures; see `read_steps`."""
        return read_steps(self.tenure, values, tenure, before)

    def lost_by(self, tenure) -> np.ndarray:
        """Count those who have churned up to given tenures."""
        return self.at(self.n_events.cumsum(axis=1), tenure)

    def at_risk_after(self, tenure) -> np.ndarray:
        """Count those still at risk just after given tenures, late entrants of that very tenure included.

        These are the numbers under a survival figure: at tenure 0 all customers observed from their start (less those
        who left at tenure 0 itself).
        """
        net = self.n_entered + self.n_moved - self.n_events - self.n_censored
        return self.at(net.cumsum(axis=1), tenure)

    def trusted(self, g: int, minimum: int) -> tuple[float, slice]:
        """Give the tenure at which a level's curve begins, and the positions of its tenures (see `reliable_run`)."""
        first, stop = reliable_run(self.n_at_risk[g], self.n_events[g], minimum) if minimum else (0, len(self.tenure))
        return float(self.tenure[first - 1]) if first else 0.0, slice(first, stop)


def life_table(counts) -> LifeTable:
    """Arrange tenure counts as arrays.

    Parameters
    ----------
    counts : Counts
        From `tenure_counts(data, by=...)`: one row per level and tenure with `n_entered`, `n_events`, `n_censored` and
        the events by outcome.

    Returns
    -------
    LifeTable

    Raises
    ------
    UsageError
        If the counts are by several segments at once.
    """
    if "level" not in counts.frame:
        raise UsageError("survival.one_segment")
    about, sizes = counts.about, getattr(counts, "sizes", None)
    life = arrange(counts.frame, level_order(counts.frame, about), about.time_unit)
    if sizes is None or life.levels == (ALL,):
        return life
    customers = sizes.loc[about.segment.name, "n_customers"].reindex(life.levels)
    return replace(life, n_customers=customers.to_numpy(float))


def arrange(frame: pd.DataFrame, levels: tuple[str, ...], unit: str = "day", prefix: str = "n") -> LifeTable:
    """Arrange the rows of these levels as arrays; several rows of a level and tenure (strata, blocks) are added.

    The prefix chooses what is added: customers (n), their weights (w) or the squares of these (w2).
    """
    tenure = np.unique(frame["tenure"].to_numpy(float)) if len(frame) else np.zeros(1)
    cell = (pd.Index(levels).get_indexer(frame["level"]), np.searchsorted(tenure, frame["tenure"].to_numpy(float)))

    def grid(what: str) -> np.ndarray:
        out = np.zeros((len(levels), len(tenure)))
        if f"{prefix}_{what}" in frame:
            np.add.at(out, cell, frame[f"{prefix}_{what}"].to_numpy(float))
        return out

    entered, events, censored = grid("entered"), grid("events"), grid("censored")
    moved = grid("moved_in") - grid("moved_out")
    outcomes = {o: grid(o) for o in OUTCOMES if f"{prefix}_{o}" in frame}
    at_risk = risk_set(tenure, entered, events + censored - moved)
    customers = entered.sum(axis=1)
    return LifeTable(levels, tenure, entered, events, censored, at_risk, moved, customers, outcomes, unit)


def level_order(frame: pd.DataFrame, about: About) -> tuple[str, ...]:
    """Order the levels that occur as the data set lists them, then the others as they come."""
    present = dict.fromkeys(frame["level"])
    listed = [level for level in about.segment.levels if level in present]
    # nobody at all: one empty level, so that every result can say so
    return (*listed, *(level for level in present if level not in listed)) or (ALL,)


def tidy(keys: dict[str, Sequence], **values) -> pd.DataFrame:
    """Lay arrays out as a table: one row per combination of the keys, which name the axes of the values."""
    axes = np.ix_(*(pd.Index(key).to_numpy() for key in keys.values()))
    columns, shape = dict(zip(keys, axes, strict=True)) | values, tuple(len(key) for key in keys.values())
    return pd.DataFrame({name: np.broadcast_to(array, shape).ravel() for name, array in columns.items()})


def risk_set(tenure: np.ndarray, entered: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Count who is at risk at each tenure: entered before it, not left before it.

    Parameters
    ----------
    tenure : numpy.ndarray, shape (T,)
    entered, left : numpy.ndarray, shape (..., T)
        Who came under observation; who left, less those who came from another level.

    Returns
    -------
    numpy.ndarray, shape (..., T)
    """
    net = entered.cumsum(axis=-1) - left.cumsum(axis=-1)
    before = net - entered + left  # the sums up to the tenure before
    # observed from the first day: at risk at tenure 0 already
    return before + np.where(tenure <= 0, entered, 0)


def reliable_run(n_at_risk: np.ndarray, n_events: np.ndarray, minimum: int) -> tuple[int, int]:
    """Find where one level's curve can be trusted: a run of tenures with at least `minimum` customers at risk.

    With late entry the first risk sets can be tiny, or empty for a while: one early event among two customers would
    halve the curve for good. So the curve is the first run without such a gap in which at least `minimum` customers
    left (or, if there is none, the run with most of them). Beginning later than tenure 0, it is conditional on having
    stayed so long; it ends where the risk set falls under the minimum.

    Parameters
    ----------
    n_at_risk, n_events : numpy.ndarray, shape (T,)
    minimum : int

    Returns
    -------
    first, stop : int
        Positions, `stop` excluded; equal when the level is too small throughout.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, n_at_risk >= minimum, False].astype(int)))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    if not runs:
        return 0, 0
    lost = [n_events[first:stop].sum() for first, stop in runs]
    enough = [run for run, n in zip(runs, lost, strict=True) if n >= minimum]
    return enough[0] if enough else max(zip(lost, [stop - first for first, stop in runs], runs, strict=True))[2]


def read_steps(steps: np.ndarray, values: np.ndarray, tenure, before: float | list = 0.0) -> np.ndarray:
    """Read step functions, along the last axis, just after given tenures; ahead of the first step they are `before`."""
    at = np.searchsorted(steps, np.asarray(tenure, float), side="right") - 1
    return np.concatenate([values, np.full((*values.shape[:-1], 1), before)], axis=-1)[..., at]


def read_curve(start: float, steps: np.ndarray, values: np.ndarray, tenure, before: float | list) -> np.ndarray:
    """Read the steps of a curve that can be told from a start to its last step; NaN beyond either end."""
    tenure = np.asarray(tenure, float)
    known = (tenure >= start) & (tenure <= (steps[-1] if len(steps) else -1.0))
    return np.where(known, read_steps(steps, values, tenure, before), np.nan)


def per_month(unit: str) -> float:
    """Give the tenures in a month."""
    return DAYS_PER_MONTH if unit == "day" else 1.0


def anniversary(months, unit: str) -> np.ndarray:
    """Give the tenure at which a month count is complete: whole days, or the months themselves.

    The convention is printed with every table: day floor(365.25 / 12 x months), so 12 months are 365 days.
    """
    months = np.asarray(months, float)
    return np.floor(DAYS_PER_MONTH * months) if unit == "day" else months
