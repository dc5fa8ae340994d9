"""The truth, written down while it happens: what a right analysis must find, within its own uncertainty."""

from collections import defaultdict
from types import SimpleNamespace

import market
import numpy as np
import pandas as pd
import parameters as p
from market import CAUSES, N_VOLUNTARY, NEVER
from people import FIRST_DAY, LAST_DAY, OBSERVED, month_of

OUTCOMES = ("voluntary", "involuntary", "natural", "unknown")
TENURE_BANDS = (0, 6, 12, 24)
SURVIVAL_SEGMENTS = ("all", "region", "payment", "contract")
READ_AT = (1, 3, 6, 12, 24, 36, 60)  # completed months


class Watch:
    """Sees the hazards of every month as they act on those who are there, and sums them up.

    Expected losses come from the hazards themselves, so they carry no chance but the month's noise; each cause has its
    share of a customer's total hazard, so the causes add up to the expected losses exactly.
    """

    def __init__(self, who: SimpleNamespace):
        self.who = who
        self.names: dict[str, list[str]] = {}  # segment -> its levels
        self.monthly = defaultdict(list)  # (segment, level) -> one dict a month
        self.days = defaultdict(lambda: 0.0)  # segment -> days at risk by level and tenure: first spells
        self.lost = defaultdict(lambda: 0.0)  # segment -> expected ends by outcome, level and tenure

    def see(self, m: int, s: market.State, i: np.ndarray, parts, ends: np.ndarray, noise: float) -> None:
        """Take in one month: the opening base and its hazards, and the days that were lived."""
        if m < OBSERVED:
            return
        opening = s.start[i] < FIRST_DAY[m]
        codes = levels(self.who, s, i, m)
        self.names = {segment: names for segment, (names, _) in codes.items()}
        total = sum(part.hazard * part.days for part in parts)[:, opening]
        both = total.sum(0)
        chance = -np.expm1(-both)
        attributed = chance * total / both
        plain = -np.expm1(-both / np.exp(noise))
        left = (ends[opening] < NEVER).astype(float)
        for segment, (names, code) in codes.items():
            sums = [np.bincount(code[opening], w, len(names)) for w in (np.ones_like(left), left, plain, *attributed)]
            for name, (n, churned, expected_plain, *by_cause) in zip(names, np.transpose(sums), strict=True):
                row = {"n_opening": int(n), "n_churned_opening": int(churned), "expected": sum(by_cause)}
                row |= {"expected_without_noise": expected_plain} | dict(zip(CAUSES, by_cause, strict=True))
                self.monthly[segment, name].append(row)
        self._live(s, i, parts, ends, codes)

    def _live(self, s, i, parts, ends, codes) -> None:
        first = s.spell[i] == 1
        unknown = np.where(self.who.contactable[i], *p.UNKNOWN_OUTCOME)
        for part in parts:
            lived = np.clip(np.minimum(part.days, ends - part.first + 1), 0, None) * first
            total = part.hazard.sum(0)
            daily = -np.expm1(-total) / total * lived  # ends expected over the days lived, per unit of hazard
            known = [part.hazard[:N_VOLUNTARY].sum(0), part.hazard[N_VOLUNTARY], part.hazard[N_VOLUNTARY + 1]]
            by_outcome = [h * (1 - unknown) * daily for h in known] + [total * unknown * daily]
            for segment in SURVIVAL_SEGMENTS:
                names, code = codes[segment]
                cell, size = code * len(p.MONTHS) + part.tenure, len(names) * len(p.MONTHS)
                self.days[segment] = self.days[segment] + np.bincount(cell, lived, size)
                self.lost[segment] = self.lost[segment] + np.stack([np.bincount(cell, w, size) for w in by_outcome])

    def expected(self) -> dict:
        """Return expected and realised losses of the opening base: by segment, level and month, and by cause."""
        out = defaultdict(dict)
        for (segment, name), rows in self.monthly.items():
            frame = pd.DataFrame(rows)
            whole = {"n_opening", "n_churned_opening"}
            out[segment][name] = {c: frame[c].tolist() if c in whole else _round(frame[c]) for c in frame}
        return dict(out)

    def survival(self) -> dict:
        """Return survival and cumulative incidence of first spells at completed months, as the hazards imply them.

        The hazard of a tenure is averaged over the customers who were observed at it, so a product-limit estimate that
        respects late entry differs from this by chance alone.
        """
        out = defaultdict(dict)
        for segment in SURVIVAL_SEGMENTS:
            names = self.names[segment]
            days = self.days[segment].reshape(len(names), -1)
            lost = self.lost[segment].reshape(len(OUTCOMES), len(names), -1)
            for k, name in enumerate(names):
                seen = days[k] > 0
                out[segment][name] = _curve(days[k][seen], lost[:, k, seen])
        return dict(out)


def _curve(days: np.ndarray, lost: np.ndarray) -> dict:
    daily = lost.sum(0) / days
    alive = np.concatenate([[1.0], np.cumprod((1 - daily) ** p.DAYS_PER_MONTH)])
    fallen = (alive[:-1] - alive[1:]) * lost / lost.sum(0)
    incidence = np.concatenate([np.zeros((len(OUTCOMES), 1)), fallen.cumsum(1)], axis=1)
    at = [k for k in READ_AT if k < len(alive)]
    return {
        "at_months": at,
        "survival": _round(alive[at], 5),
        "incidence": {outcome: _round(row[at], 5) for outcome, row in zip(OUTCOMES, incidence, strict=True)},
        "monthly_hazard": _round(1 - (1 - daily) ** p.DAYS_PER_MONTH, 6),
    }


def levels(who, s, i: np.ndarray, m: int) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return the names and codes of every segment for the customers `i` as of the opening of month `m`."""
    edges = list(p.AGE_BANDS)
    ages = ["0-25", *(f"{a}-{b}" for a, b in zip(edges[1:-1], edges[2:], strict=True)), f"{edges[-1]}+"]
    since = who.start[i] - FIRST_DAY[who.joined[i]]  # tenure counts from the customer's first start
    tenure = m - who.joined[i] - (since > 0)
    bands = [f"{a}-{b}" for a, b in zip(TENURE_BANDS[:-1], TENURE_BANDS[1:], strict=True)] + [f"{TENURE_BANDS[-1]}+"]
    terms = [months for _, months in p.CONTRACTS.values()]
    return {
        "all": (["all"], np.zeros(len(i), int)),
        "region": (list(p.REGIONS), who.region[i]),
        "age": (ages, who.band[i]),
        "plan": (list(p.PLANS), s.plan[i]),
        "payment": (["后付费", "预付费"], who.prepaid[i].astype(int)),
        "contract": (list(p.CONTRACTS), np.searchsorted(terms, who.term[i])),
        "contactable": (["false", "true"], who.contactable[i].astype(int)),
        "tenure": (bands, np.searchsorted(TENURE_BANDS, np.maximum(tenure, 0), side="right") - 1),
    }


def ledger(spells: pd.DataFrame) -> dict:
    """Return opening + new + reactivated - churned = closing for every month, counted from the spells."""
    start, end, spell = (spells[c].to_numpy() for c in ("start", "end", "spell"))
    months = np.arange(OBSERVED, len(p.MONTHS))
    began, ended = month_of(start), np.where(end < NEVER, month_of(np.minimum(end, LAST_DAY[-1])), NEVER)
    opening = int((start < FIRST_DAY[OBSERVED]).sum())
    rows = []
    for m in months:
        new, back = int(((began == m) & (spell == 1)).sum()), int(((began == m) & (spell > 1)).sum())
        gone = ended == m
        row = {
            "month": str(p.MONTHS[m]),
            "n_opening": opening,
            "n_new": new,
            "n_reactivated": back,
            "n_churned": int(gone.sum()),
        }
        row["n_churned_opening"] = int((gone & (start < FIRST_DAY[m])).sum())
        row |= {f"n_{outcome}": int((gone & (spells["outcome"] == outcome)).sum()) for outcome in OUTCOMES}
        opening += new + back - row["n_churned"]
        rows.append(row | {"n_closing": opening})
    return {column: pd.DataFrame(rows)[column].tolist() for column in rows[0]}


def excess(ended: pd.Series, without: dict[str, pd.Series]) -> dict:
    """Return what each cause did by month: spells that ended in the market as it was, less in the market without it."""
    months = range(p.OUTDATED_FROM, len(p.MONTHS))
    # a market that was run again from a later month on is the same before it
    counts = {
        name: [int(ended.get(m, 0) - other.get(m, 0)) if m >= other.index[0] else 0 for m in months]
        for name, other in without.items()
    }
    return {"from_month": str(p.MONTHS[p.OUTDATED_FROM]), "n_churned": counts}


def campaigns(spells: pd.DataFrame, retention: pd.DataFrame, win_back: pd.DataFrame) -> dict:
    """Return what the campaigns did: by arm, who left within three months (retention) or returned within 45 days."""
    day = int(retention["day"].iloc[0])
    until = LAST_DAY[p.month(p.RETENTION["month"]) + p.RETENTION["months"] - 1]
    gone = spells["customer"][(spells["end"] >= day) & (spells["end"] <= until)]
    pairs = win_back.reset_index().merge(spells[spells["spell"] > 1], on="customer")
    back = pairs["index"][(pairs["start"] > pairs["day"]) & (pairs["start"] <= pairs["day"] + 45)]
    keep = _arms(retention["treated"].to_numpy(), retention["customer"].isin(gone).to_numpy())
    won = _arms(win_back["treated"].to_numpy(), win_back.index.isin(back))
    keep |= {"hazard_ratio_voluntary": 1 - p.RETENTION["effect"], "months": p.RETENTION["months"]}
    won |= {"effect_on_share": p.WIN_BACK["effect"], "n_returned_because": int(win_back["won"].sum())}
    return {"retention": keep, "win_back": won}


def _arms(treated: np.ndarray, happened: np.ndarray) -> dict:
    arms = {"treated": treated, "control": ~treated}
    return {arm: {"n": int(who.sum()), "n_events": int(happened[who].sum())} for arm, who in arms.items()}


def _round(values, digits: int = 3) -> list[float]:
    return [round(float(v), digits) for v in values]
