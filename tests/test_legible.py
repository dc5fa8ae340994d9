"""Few customers: what cannot be shown by the month is judged by the quarter, and says so."""

import pytest
from datasets import SPEC, write_dataset

import churnlib as churn
from churnlib.about import Period


def few(folder, a_month, **thresholds):
    """400 customers since 2020 in two regions; `a_month` of each leave every month from 2023 on."""
    rows = []
    for region in ("华南", "华北"):
        ends = [
            f"{year}-{month:02}-10" for year in (2023, 2024, 2025) for month in range(1, 13) for _ in range(a_month)
        ]
        ends += [""] * (200 - len(ends))
        rows += [[f"{region}{i}", "2020-01-01", end, "", region, "", ""] for i, end in enumerate(ends)]
    tables = {"customers": SPEC["tables"]["customers"]}
    segments = {"region": SPEC["segments"]["region"]}
    return churn.open_dataset(
        write_dataset(folder, rows, None, tables=tables, segments=segments, thresholds=thresholds)
    )


def test_losses_that_may_not_be_shown_by_the_month_are_counted_by_the_quarter(tmp_path):
    data = few(tmp_path / "few", 2, privacy_k=5)
    ledger, divided = churn.legible_counts(data), churn.divided_counts(data)
    assert ledger.about.period == divided[0].about.period == Period.parse("2025-Q4")
    now = ledger.frame.set_index("period").loc["2025-Q4"]
    assert (now.n_churned_opening, now.n_opening) == (12, 400 - 2 * 2 * 33)
    trend = churn.churn_trend(ledger)
    assert trend.notes[0].key == "trend.note.coarser" and "Q4 2025" in trend.notes[0].say("en")
    assert [kpi.id for kpi in trend.kpis] == ["churn_rate_longer"]  # never taken for the month's
    chart = churn.control_chart(ledger, divided)
    assert chart.verdict == "control.even" and chart.groups.n_judged == 2


def test_groups_alone_are_judged_by_the_quarter_where_the_whole_can_be_shown(tmp_path):
    data = few(tmp_path / "groups", 3, privacy_k=5)
    ledger, divided = churn.legible_counts(data), churn.divided_counts(data)
    assert (ledger.about.reported, divided[0].about.reported) == (None, Period.parse("2025-12"))
    groups = churn.control_chart(ledger, divided).groups
    assert groups.n_judged == 2 and groups.table["n_churned_opening"].tolist() == [9.0, 9.0]
    assert groups.notes[0].key == "control.groups.coarser"


@pytest.mark.parametrize("a_month", [0, 5])
def test_what_can_be_shown_stays_by_the_month(tmp_path, a_month):
    data = few(tmp_path / "enough", a_month, privacy_k=5) if a_month else few(tmp_path / "open", 2, privacy_k=1)
    assert churn.legible_counts(data).about.period == churn.divided_counts(data)[0].about.period == data.about.period
