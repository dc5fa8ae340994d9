"""Shares of a window of periods: of respondents, mentions and money, bounds for all the lost, and their change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnlib.about import Period
from churnlib.intervals import difference, wilson


@dataclass(frozen=True)
class Window:
    """What was said in some periods together.

    Attributes
    ----------
    mentions : pandas.DataFrame
        One row per reason: `n_named`, `n_mentions`, `fee_lost`, `fee_lost2`; the unknown always among them.
    n_churned, n_respondents : int
    fee : (float, float)
        Monthly fees of the respondents: sum, and sum of squares; NaN without fees.
    versions : dict of str to int
        Respondents by version of the list.
    """

    mentions: pd.DataFrame
    n_churned: int
    n_respondents: int
    fee: tuple[float, float]
    versions: dict[str, int]


_SUMS = ["n_named", "n_mentions", "fee_lost", "fee_lost2"]


def add_up(mentions, response, level: str, first: Period, last: Period) -> Window:
    """Add the periods of a window up: mentions, respondents and lost customers add over periods."""
    named = mentions.frame[(mentions.frame["level_of_list"] == level) & within(mentions.frame, first, last)]
    asked = response.frame[within(response.frame, first, last)]
    sums = named.groupby("reason")[_SUMS].sum(min_count=1)
    fee = (asked["fee_told"].sum(min_count=1), asked["fee_told2"].sum(min_count=1))
    unknown = {"group": "unknown", "reason": "unknown.other"}.get(level, "other")
    if unknown not in sums.index:  # shown also when nobody said so
        sums.loc[unknown] = [0, 0, 0 * fee[0], 0 * fee[1]]
    told = asked[asked["n_respondents"] > 0].groupby("version")["n_respondents"].sum()
    return Window(
        mentions=sums.reset_index().astype({"n_named": int, "n_mentions": int}),
        n_churned=int(asked["n_customers"].sum()),
        n_respondents=int(asked["n_respondents"].sum()),
        fee=fee,
        versions={str(name): int(n) for name, n in told.items()},
    )


def window_of(about, window: int) -> tuple[Period, Period]:
    """Give the first and the last of so many periods, ending with the report's."""
    return about.period.shift(1 - window), about.period


def within(frame: pd.DataFrame, first: Period, last: Period) -> pd.Series:
    """Tell which rows lie in a window of periods."""
    return frame["period"].between(str(first), str(last))


def shares(window: Window, conf_level: float) -> pd.DataFrame:
    """Shares of respondents, mentions and money, and the worst and best case for those who did not answer."""
    named, n, mentions = window.mentions["n_named"], window.n_respondents, window.mentions["n_mentions"]
    lower, upper = wilson(named, np.full(len(named), n), conf_level)
    silent, churned = window.n_churned - n, max(window.n_churned, 1)
    fees = dict(zip(("fee_share", "fee_lower", "fee_upper"), _money_shares(window, conf_level), strict=True))
    return window.mentions.drop(columns="fee_lost2").assign(
        n_respondents=n,
        share=named / n if n else np.nan,
        ci_lower=lower,
        ci_upper=upper,
        share_mentions=mentions / mentions.sum() if mentions.sum() else np.nan,
        bound_lower=named / churned,
        bound_upper=(named + silent) / churned,
        **fees,
    )


def _money_shares(window: Window, conf_level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the respondents' revenue: a ratio of sums, Wilson's interval at the answers that its variance is worth.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques, section 6.4 (variance of a ratio).
    """
    total, total2 = window.fee
    part, part2 = (window.mentions[c].to_numpy(float) for c in ("fee_lost", "fee_lost2"))
    if not total > 0:
        return (np.full(len(part), np.nan),) * 3
    share = part / total
    variance = (part2 * (1 - 2 * share) + share**2 * total2) / total**2
    with np.errstate(divide="ignore", invalid="ignore"):
        # a few large fees are worth few answers; at a share of 0 or 1 the spread of the fees alone says how few
        effective = np.where((part > 0) & (part < total), share * (1 - share) / variance, total**2 / total2)
    return share, *wilson(share * effective, effective, conf_level)


def changes(now: pd.DataFrame, before: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Set each share beside that of the window before; the intervals are Bonferroni's over the reasons."""
    earlier = before.set_index("reason")[["n_named", "share"]].reindex(now["reason"])
    earlier = earlier.fillna({"n_named": 0, "share": 0.0})
    n_before = before["n_respondents"].iloc[0] if len(before) else 0
    counted = (now["n_named"], now["n_respondents"], earlier["n_named"].to_numpy(), n_before)
    ends = difference(*counted, conf_level=1 - (1 - conf_level) / max(len(now), 1))
    lower, upper = map(np.asarray, ends)
    share_before = earlier["share"].to_numpy() if n_before else np.full(len(now), np.nan)
    now = now.assign(share_before=share_before, change=now["share"] - share_before, n_before=counted[2])
    return now.assign(change_lower=lower, change_upper=upper, change_clear=(lower > 0) | (upper < 0))
