"""A reader who puts a report together: what its tables, taken as equations, tell of the counts that they hide.

Everything that the notebooks show of a data set is collected as it is published. `SAYS` reads each table as sums of
named counts, `books` are the identities between them; linear programming gives the least and the most that a hidden
count can be. Whoever adds a table says here what its numbers count, or under `ESTIMATES` why they count nobody.
"""

import ast
import json
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from churnlib.about import Period
from churnlib.show.results import Result

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ESTIMATES = """
ChangePoints EventEffects ChurnForecast CompanionSignals MarketComparison ReasonChanges RivalRankings
RatiosByTenure SurvivalProjection Backtest ResidualLifetime CustomerValue HazardRatios WaysOfLeaving ReturnSurvival
MoneySurvival TrackingTable RivalDefinitions MoneyRetention RevenueBridge BilledBridge QuietCustomers ValueMigration
ExpectedValue Concentration ServiceCost ReasonLevels ReasonsTogether LostTo LeavingProfile
RetentionCurves
""".split()  # of models; of money or of customers who stay; of other definitions; copies of rows of tables in SAYS


def published(folder, chapters=("1-trend", "1-why", "2-survival", "3-cohort", "4-reasons", "5-definitions", "6-value")):
    """Run the notebooks' cells on a data set: every result that they show, in order."""
    shown = []
    for chapter in chapters:
        cells = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
        names = {"display": shown.append}
        for i, source in enumerate("".join(c["source"]) for c in cells if c["cell_type"] == "code"):
            body = ast.parse(source).body
            last = body.pop().value if isinstance(body[-1], ast.Expr) else None
            try:
                exec(compile(ast.Module(body, []), chapter, "exec"), names)  # noqa: S102
                if i == 0:
                    names |= {"dataset": str(folder), "language": "en"}
                if last is not None:
                    shown.append(eval(compile(ast.Expression(last), chapter, "eval"), names))  # noqa: S307
            except Exception as problem:  # a chapter that needs what the data have not
                if type(problem).__module__ != "churnlib.text" and not isinstance(problem, NameError):
                    raise
    return [result for result in shown if isinstance(result, Result)]


def _trend(r, row):
    yield {("old", row.period): 1}, row.n_churned_opening
    yield {("open", row.period): 1}, row.n_opening
    yield {("old", row.period): 1}, row.churn_rate * row.n_opening


def _ledger(r, row):
    for name, column in (("new", "n_new"), ("back", "n_reactivated"), ("lost", "n_churned"), ("open", "n_opening")):
        yield {(name, row.period): 1}, getattr(row, column)
    yield {("open", _next(row.period)): 1}, row.n_closing
    yield {("lost", row.period): 1, ("back", row.period): -1}, row.net_rate * row.n_opening
    yield {("old", row.period): 1}, row.churn_rate * row.n_opening


def _levels(r, row):
    segment, t = getattr(row, "segment", r.about.segment.name), getattr(row, "period", str(r.about.period))
    yield {("old", segment, row.level, t): 1}, row.n_churned_opening
    yield {("old", segment, row.level, t): 1, ("old", t): -getattr(row, "share_lost", np.nan)}, 0


def _cohort(r, row):
    yield {("new", row.cohort): 1}, row.n_start
    if r.mode != "stay":
        return
    yield {("kept", row.cohort, row.age): 1}, row.n_retained
    yield {("kept", row.cohort, row.age): 1}, row.retention * row.n_start if row.state == "complete" else np.nan


def _departures(r, row):
    if row.kind == "period":
        yield {("first", row.name): 1}, row.n_lost
        yield {("risk", row.name): 1}, row.n_at_risk


def _projection(r, row):
    told, before = r.shown["observed"].to_numpy(), row.age - 1
    if row.age and not r.about.withheld:  # else in tens
        yield {("aged", row.age): 1}, row.n_at_risk * (1 - told[row.age] / told[before])


def _change(r, row):
    if row.kind == "total" and r.before is not None:
        for period, rate in ((r.about.period, row.churn_rate), (r.before, row.rate_before)):
            yield {("old", str(period)): 1, ("open", str(period)): -rate}, 0


def _tenure(r, row):
    level = (row.level,) if r.about.segment.name else ()
    if hasattr(row, "hazard"):
        yield {("left", *level, row.months): 1}, row.n_events
        return
    earlier = r.shown.loc[(r.shown["level"] == row.level) & (r.shown["months"] < row.months), "months"]
    if len(earlier) and row.months > 12:  # the months between two readings
        between = range(round(earlier.max()) + 1, round(row.months) + 1)
        yield {("left", *level, m): 1 for m in between}, row.n_events


def _across(r, row):
    if r.over == "period":
        yield {(r.what, row.code, row.column): 1}, row.n
        yield {("asked", r.what, row.column): 1}, row.n_base


def _stated(r, row):
    if r.level == "group":
        for shift, share in ((0, row.share), (3, row.share - row.change)):
            months = [str(r.window[1].shift(-i - shift)) for i in range(3)]
            if r.window[0].shift(2) == r.window[1]:
                sums = {("reason", row.reason, t): 1 for t in months}
                yield sums | {("asked", "reason", t): -share for t in months}, 0


def _follow_up(r, row):
    for shift, n in ((0, row.n_customers), (3, row.n_before)):
        months = [str(r.window[1].shift(-i - shift)) for i in range(3)]
        yield {("follow_up", row.follow_up, t): 1 for t in months}, n if r.window[0].shift(2) == r.window[1] else np.nan


SAYS = {
    "LengthOfStay": _tenure, "TenureHazard": _tenure, "SharesAcross": _across, "StatedReasons": _stated,
    "FollowUp": _follow_up, "ChurnTrend": _trend, "ControlChart": _trend, "Ledger": _ledger, "SegmentRates": _levels,
    "GroupCharts": _levels, "CohortRetention": _cohort, "Departures": _departures, "Projection": _projection,
    "ChangeExplained": _change,
}  # fmt: skip


def _next(period):
    return str(Period.parse(period).shift(1))


SUMS = ("LostMoney", "AttributableReasons", "UnitFunnel", "SlicesFound")


def windows(results):
    """Sums over periods: how many churned in all, in a year, in the months that reasons are told of."""
    for r in results:
        name, period = type(r).__name__, r.about.period
        year = [str(period.shift(-i)) for i in range(12)]
        if name == "LostMoney" and r.findings[0].key == "losses.whole":
            yield {("lost", t): 1 for t in year}, r.findings[0].values["n"]
        if name == "LostMoney" and len(rows := r.shown[r.shown["split"] == "segment"]) and rows["n_lost"].notna().all():
            yield {("lost", t): 1 for t in year}, rows["n_lost"].sum()
        if name == "AttributableReasons" and r.subtitle:
            first, last = r.window
            yield {("old", t): 1 for t in year if str(first) <= t <= str(last)}, r.subtitle.values["n"]
        if name == "ControlChart" and r.usual is not None:  # what is expected of a month follows from the others
            rows = r.table[r.table["in_baseline"].astype(bool)]
            yield {("old", t): 1 for t in rows["period"]}, (rows["expected"] * rows["n_opening"]).sum()
        if name == "SlicesFound" and len(r.table):
            total, last = r.table.iloc[-1], (period, r.before_last)
            for first, end, rate in zip(
                (r.first, r.before_first), last, (total.churn_rate, total.rate_before), strict=True
            ):
                months = [str(end.shift(-i)) for i in range(36) if end.shift(-i) >= first]
                yield {(name, t): 1 if name == "old" else -rate for name in ("old", "open") for t in months}, 0
        if name == "UnitFunnel" and r.shown["n_churned_opening"].notna().all():
            since = [t for t in year if t >= str(r.first)]
            yield {("old", t): 1 for t in since}, r.shown["n_churned_opening"].sum()


def equations(results):
    """All that is published, as sums of named counts; numbers that are not shown say nothing."""
    for r in results:
        for row in r.shown.itertuples() if type(r).__name__ in SAYS else ():
            yield from SAYS[type(r).__name__](r, row)
    yield from windows(results)


def of_ledger(ledger):
    """The identities of the books: what is 0, what is at most 0, and the numbers themselves."""
    equal, less, truth, told = [], [], {}, ledger["period"].tolist()
    for row in ledger.itertuples():
        t, u = row.period, _next(row.period)
        truth |= {("old", t): row.n_churned_opening, ("lost", t): row.n_churned, ("fresh", t): row.n_churned_new}
        equal.append({("lost", t): 1, ("old", t): -1, ("fresh", t): -1})
        equal.append({("open", t): 1, ("new", t): 1, ("back", t): 1, ("lost", t): -1, ("open", u): -1})
        # of the first spells of the cohorts alone: at risk now + new - those lost at once - lost = at risk then
        equal.append({("risk", t): 1, ("new", t): 1, ("once", t): -1, ("first", t): -1, ("risk", u): -1})
        less += [{("once", t): 1, ("fresh", t): -1}, {("first", t): 1, ("old", t): -1}]
        equal += [] if ledger["n_reactivated"].any() else [{("back", t): 1}]  # that nobody ever came back is told
    for t in told if Period.parse(told[0]).unit == "month" else ():
        three, q = [t, _next(t), _next(_next(t))], str(Period.containing(Period.parse(t).first, "quarter"))
        if int(t[-2:]) % 3 == 1 and three[-1] in told:
            equal.append({("old", q): 1, ("fresh", q): 1} | {("lost", m): -1 for m in three})
            equal += [{("open", q): 1, ("open", t): -1}, {("new", q): 1} | {("new", m): -1 for m in three}]
            less.append({("fresh", m): 1 for m in three} | {("fresh", q): -1})
    return equal, less, truth


def books(results):
    """The same of a whole report, with what is hidden: the counts of 1 to k - 1."""
    by = {type(r).__name__: r for r in reversed(results)}
    equal, less, truth = of_ledger(by["Ledger"].table)
    rates, hazard, now = by["SegmentRates"], by["TenureHazard"].table, str(by["SegmentRates"].about.period)
    cells = {("old", rates.about.segment.name, r.level, now): r.n_churned_opening for r in rates.table.itertuples()}
    equal.append(dict.fromkeys(cells, 1) | {("old", now): -1})
    truth |= cells | {("left", m): n for m, n in zip(hazard["months"], hazard["n_events"], strict=True)}
    for r in results:
        if type(r).__name__ == "SharesAcross" and r.over == "period":
            truth |= {(r.what, row.code, row.column): row.n for row in r.table.itertuples()}
            for t, rows in r.table.groupby("column"):
                if r.what == "follow_up":  # its kinds add up to all who left
                    equal.append({(r.what, code, t): 1 for code in rows["code"]} | {("lost", t): -1})
                    equal.append({("asked", r.what, t): 1, ("lost", t): -1})
                less += [{(r.what, code, t): 1, ("asked", r.what, t): -1} for code in rows["code"]]
    if by["CohortRetention"].mode == "stay":
        _ages(by["CohortRetention"], by["Projection"].table, equal, less, truth)
    return equal, less, {name: n for name, n in truth.items() if 0 < n < by["Ledger"].about.privacy_k}


def numbers(results):
    """Every number that is published, with all its digits: in files, findings and tiles."""
    for r in results:
        yield from r.shown[[c.name for c in r.shown_columns()]].select_dtypes("number").to_numpy(float).ravel()
        yield from (v for f in r.findings for v in f.values.values() if isinstance(v, float))
        yield from (v for k in r.kpis for v in (k.value, k.ci_lower, k.ci_upper, k.previous, k.year_ago, *k.series))


def hidden_rates(results):
    """The churn rates of the periods in which a handful left."""
    (ledger,) = (r for r in results if type(r).__name__ == "Ledger")
    lost, there = (ledger.table[c].to_numpy(float) for c in ("n_churned_opening", "n_opening"))
    few = (lost > 0) & (lost < ledger.about.privacy_k)
    return set(lost[few] / there[few])


def _ages(cohorts, ages, equal, less, truth):
    """Cohorts lose from age to age; what all complete ones lose at an age is what the projection is made of."""
    table = cohorts.table[cohorts.table["age"] > 0]
    for r in table.itertuples():
        before = ("kept", r.cohort, r.age - 1) if r.age > 1 else ("new", r.cohort)
        less.append({("kept", r.cohort, r.age): 1, before: -1})
        equal.append({("kept", r.cohort, r.age): 1, ("gone", r.cohort, r.age): 1, ("new", r.cohort): -1})
        truth |= {("gone", r.cohort, r.age): r.n_start - r.n_retained} if r.age % 12 == 0 else {}  # some of the many
    if cohorts.about.period.unit == "month":
        for age, rows in table[table["state"].isin(("complete", "small"))].groupby("age"):
            gone = {("aged", age): 1} | {("kept", c, age): 1 for c in rows["cohort"]}
            equal.append(gone | {("kept", c, age - 1) if age > 1 else ("new", c): -1 for c in rows["cohort"]})
        truth |= {("aged", a): n for a, n in zip(ages["age"], ages["n_lost"], strict=True)}


def recovered(results):
    """Give the hidden counts that the report tells all the same: name -> (truth, least, most)."""
    said = [(sums, n) for sums, n in equations(results) if np.isfinite([n, *sums.values()]).all()]
    equal, less, hidden = books(results)
    ends = solved([*said, *((sums, 0) for sums in equal)], less, hidden)
    k = results[0].about.privacy_k
    return {n: (hidden[n], *end) for n, end in ends.items() if end[0] == end[1] or (end[0] >= 1 and end[1] < k)}


def solved(said, less, wanted):
    """Give the least and the most that each of some counts can be, if sums are equal to numbers, or at most 0."""
    names = {name: i for i, name in enumerate(dict.fromkeys(n for s in (*(s for s, _ in said), *less) for n in s))}
    bounds = _matrix(less, names), np.zeros(len(less)), _matrix([s for s, _ in said], names), [n for _, n in said]
    ends = {}
    for name in set(wanted) & set(names):
        goal, ends[name] = np.eye(1, len(names), names[name])[0], (0, np.inf)
        low = linprog(goal, *bounds, method="highs")
        assert low.status == 0, (name, low.message)  # else the tables contradict each other
        if low.fun > 0.5:  # else it may be none: one of 1 and more is not recovered
            high = linprog(-goal, *bounds, method="highs")
            ends[name] = np.ceil(low.fun - 1e-6), np.floor(1e-6 - high.fun) if high.status == 0 else np.inf
    return ends


def _matrix(rows, names):
    cells = [(value, i, names[name]) for i, sums in enumerate(rows) for name, value in sums.items()]
    value, i, j = np.array(cells).T
    return csr_matrix((value, (i.astype(int), j.astype(int))), (len(rows), len(names)))
