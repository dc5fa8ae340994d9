"""Spells as counts, for the survival tests: R's cases and small ones made by hand or by simulation."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from toy import BARE, canonical

from churnlib.about import About, Period, Segment
from churnlib.text import Label

ORACLES = Path(__file__).parent / "oracles"
OUTCOMES = ("voluntary", "involuntary", "natural", "unknown")


def oracle(name: str) -> pd.DataFrame:
    """Read an answer that R wrote."""
    return pd.read_csv(ORACLES / f"{name}.csv", dtype={"level": str, "level_a": str, "level_b": str, "stratum": str})


def about(unit="day", min_denominator=30, privacy_k=5, by="", levels=(), snapshot=False, **more) -> About:
    """Say what made-up counts are about."""
    names = tuple(Label(f"{v}组", f"group {v}") for v in levels)
    segment = Segment(by, Label("组别", "group"), tuple(levels), names) if by else Segment()
    return About(
        dataset="sample",
        title=Label("示例（模拟数据）", "Sample (simulated)"),
        as_of=date(2026, 1, 12),
        observed_from=date(2023, 1, 1),
        period=Period.parse("2025-12"),
        time_unit=unit,
        segment=segment,
        min_denominator=min_denominator,
        privacy_k=privacy_k,
        snapshot=snapshot,
        **more,
    )


SPAN = 10**7  # half days; R's heart data have times such as 0.5


def _cells(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Number level and tenure together."""
    level = np.unique(rows["level"], return_inverse=True)[1]
    return level * SPAN + (2 * rows[column].to_numpy()).astype("int64")


def counts(rows: pd.DataFrame, **about_values) -> SimpleNamespace:
    """Count spells as the engine does: one row per level and tenure.

    `rows` has exit and, optionally, entry (0), outcome ("censored" or one of the four), level ("" for all) and n (1).
    """
    rows = pd.DataFrame(rows)
    for column, default in (("entry", 0), ("outcome", "voluntary"), ("level", ""), ("n", 1)):
        rows[column] = rows[column] if column in rows else default
    keys, cell = np.unique(np.r_[_cells(rows, "entry"), _cells(rows, "exit")], return_inverse=True)
    entered, left = cell[: len(rows)], cell[len(rows) :]
    names = np.unique(rows["level"])
    frame = {"level": names[keys // SPAN], "tenure": (keys % SPAN) / 2}
    frame["n_entered"] = np.bincount(entered, rows["n"], len(keys))
    for outcome in (*OUTCOMES, "censored"):
        frame[f"n_{outcome}"] = np.bincount(left, rows["n"] * (rows["outcome"] == outcome), len(keys))
    frame = pd.DataFrame(frame)
    frame["n_events"] = frame[[f"n_{o}" for o in OUTCOMES]].sum(axis=1)
    levels = tuple(sorted(set(rows["level"])))
    if levels != ("",):
        about_values = {"by": "plan", "levels": levels} | about_values
    return SimpleNamespace(frame=frame, about=about(**about_values))


def case(name: str, **about_values) -> SimpleNamespace:
    """Count one of the cases that R answered."""
    rows = oracle("survival_rows")
    return counts(rows[rows["case"] == name].drop(columns="case"), **about_values)


def simulate(n: int, rng: np.random.Generator, *, monthly_risk=0.04, window=730, reach=2500, level="") -> pd.DataFrame:
    """Draw customers of a steady business of whom only a window of time was observed: late entry, exits in whole days.

    Starts are spread evenly over `reach` days before the data end; ends are recorded in the last `window` days only.
    """
    start = rng.integers(0, reach, n)  # days before as_of
    life = np.ceil(rng.exponential(30.4375 / monthly_risk, n)).astype(int)
    entry, end = np.maximum(0, start - window), start + 1
    seen = life > entry
    outcome = np.where(life <= end, rng.choice(OUTCOMES[:3], n, p=[0.6, 0.3, 0.1]), "censored")
    return pd.DataFrame({"level": level, "entry": entry, "exit": np.minimum(life, end), "outcome": outcome})[seen]


def visitors(n: int, observed: int, seed: int = 5):
    """Customers of ten years who visit every 60 days on average, seen from a day on; lost after 180 silent days."""
    rng, first, end = np.random.default_rng(seed), pd.Timestamp("2014-01-01"), 3650
    start = rng.integers(0, end, n)
    days = np.c_[start, start[:, None] + rng.exponential(60, (n, 200)).cumsum(axis=1).astype(int)]
    there = (days <= (start + rng.exponential(900, n))[:, None]) & (days < end) & (days >= observed)
    customers, _ = np.nonzero(there)
    said = [str(day)[:10] for day in first + pd.to_timedelta(days[there], unit="D")]
    tables = {
        "customers": [(i, str(first + pd.Timedelta(days=int(s)))[:10]) for i, s in enumerate(start)],
        "activity": list(zip(customers.tolist(), said, strict=True)),
    }
    definition = {"silent": {"kind": "inactivity", "at_risk": "90 days", "limit": "180 days"}}
    when = {"as_of": str(first + pd.Timedelta(days=end - 1))[:10]}
    when |= {"observed_from": str(first + pd.Timedelta(days=observed))[:10]}
    return canonical(tables, {**BARE, **when, "definitions": definition, "definition": "silent"})
