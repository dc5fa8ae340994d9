"""What churn is worth: the books in money balance, the best customers are counted, nothing small is told."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from counted import ABOUT, period_counts
from toy import ACTIVITY, toy

from churnlib import counts, text
from churnlib.cohorts.projection import project_retention
from churnlib.value.concentration import fee_concentration, service_cost
from churnlib.value.value import customer_value, revenue_bridge
from churnlib.value.valuebands import value_migration


def booked(lost, fee=10_000, lost_fee=10_000, new=200):
    """Count periods in customers and fees that follow from each other; the lost of the opening pay `lost_fee`."""
    made = period_counts(lost, new=new)
    frame, opening, money = made.frame, 10_000, 10_000 * fee
    for i, row in frame.iterrows():
        closing = opening + row.n_new + row.n_reactivated - row.n_churned
        gone = row.n_churned_opening * lost_fee
        came = {"fee_new": row.n_new * fee, "fee_reactivated": row.n_reactivated * fee}
        went = {"fee_churned_opening": gone, "fee_churned": gone + row.n_churned_new * fee}
        after = money + sum(came.values()) - went["fee_churned"]
        values = {
            "n_opening": opening,
            "n_closing": closing,
            "fee_opening": money,
            "fee_closing": after,
            **came,
            **went,
        }
        frame.loc[i, list(values)] = list(values.values())
        opening, money = closing, after
    return made


def said(result):
    """Every sentence in both languages: none may be lacking a word or a number."""
    statements = (*result.findings, *result.notes, *([result.subtitle] if result.subtitle else []))
    return [statement.say(language) for statement in statements for language in text.LANGUAGES]


def test_the_books_in_money_balance_for_every_definition():
    data = toy()
    for name in data.spec.definitions:
        if name != "own_gap":  # needs more purchases than a dozen customers have
            revenue_bridge(counts.period_counts(data, definition=name))


def test_books_that_do_not_balance_are_refused():
    made = booked([200, 180, 220])
    made.frame.loc[1, "fee_closing"] += 1
    with pytest.raises(text.DataError, match="2025-11"):
        revenue_bridge(made)


def test_without_fees_there_are_no_books_in_money():
    with pytest.raises(text.DataError, match="monthly_fee"):
        revenue_bridge(period_counts([200, 180]))


@pytest.mark.parametrize(("lost_fee", "word"), [(20_000, "dearer"), (10_000, "alike"), (5_000, "cheaper")])
def test_the_fees_lost_are_set_against_the_customers_lost(lost_fee, word):
    result = revenue_bridge(booked([200, 180, 220], lost_fee=lost_fee))
    assert result.findings[1].key == f"value.lost.{word}" and said(result)
    assert result.current.gross_retention == pytest.approx(1 - result.findings[1].values["money"])


@pytest.mark.parametrize(("new", "word"), [(400, "grew"), (100, "shrank"), (215, "level")])
def test_growth_of_the_fees_is_told_by_its_sign(new, word):
    head = revenue_bridge(booked([220, 220], new=new)).findings[0]
    assert head.key == f"value.bridge.{word}"
    assert head.tone == {"grew": "better", "shrank": "worse", "level": "steady"}[word]


def test_a_handful_of_losses_tells_no_fees():
    made = booked([200, 0])
    made.frame.loc[1, "n_reactivated"] = 2
    result = revenue_bridge(made)
    assert result.shown[["fee_new", "fee_reactivated", "fee_churned"]].iloc[1].isna().all()
    assert result.findings[0].key == "value.bridge.not_shown" and result.plot() is None


def test_the_hundredths_add_up_to_the_closing_of_the_books():
    data = toy()
    worth, books = counts.worth_counts(data).frame, counts.period_counts(data).frame
    closing = books[books["period"] == "2024-12"].iloc[0]
    assert worth["n_customers"].sum() == closing.n_closing == 5
    assert worth["fee"].sum() == closing.fee_closing == 40_000
    assert worth["fee"].is_monotonic_decreasing and worth["n_lost"].sum() == 0


def test_those_of_a_year_ago_who_left_are_counted():
    worth = counts.worth_counts(toy(), years_back=1).frame  # 1, 2 and 3 were there; 2 and 3 left
    assert (worth["n_customers"].sum(), worth["n_lost"].sum(), worth["fee_lost"].sum()) == (3, 2, 8_000)


def test_customers_who_cost_more_than_they_pay_are_counted():
    data = toy()
    data.con.run("ALTER TABLE customers ADD COLUMN service_cost BIGINT")
    data.con.run("UPDATE customers SET service_cost = CASE customer WHEN 6 THEN 6500 WHEN 1 THEN 10000 END")
    worth = counts.worth_counts(data).frame
    assert worth[["n_costed", "n_unprofitable", "shortfall", "fee_costed", "cost"]].sum().tolist() == [
        *(2, 1, 500),
        *(16_000, 16_500),
    ]


def test_bands_a_year_apart_are_those_counted_by_hand():
    # March 2024: 1 was billed 100, 8 90, 6 60, 7 nothing; a year later nobody is billed and 7 has left
    bands = counts.band_counts(toy(as_of="2025-03-31"), months=1).frame
    moves = bands.set_index("band_before")["band_now"].to_dict()
    assert moves == {"high": "none", "middle": "none", "low": "none", "none": "left"}
    assert bands["n_customers"].tolist() == [1] * 4


def test_irregular_buyers_are_compared_over_whole_years():
    assert counts.band_window(toy()) == 12  # 19 of the 29 months between a first and a last bill have one
    assert counts.band_window(toy(tables={"activity": [a for a in ACTIVITY if a[0] == 1]})) == 3


def test_bands_need_a_year_of_bills():
    result = value_migration(counts.band_counts(toy(), months=3))
    assert [f.key for f in result.findings] == ["value.bands.unknown"] and result.plot() is None and said(result)


def hundredths(fees, lost=0, cost=None, n=10, bad=0):
    """Count a hundred groups of `n` customers: what each group's customer pays, and how many left."""
    frame = pd.DataFrame({"hundredth": range(100), "n_customers": n, "fee": [n * f for f in fees], "n_lost": lost})
    costed = {"n_costed": n if cost else 0, "fee_costed": frame["fee"] if cost else 0, "n_unprofitable": bad}
    frame = frame.assign(**costed, cost=n * (cost or 0))
    frame["shortfall"] = 100 * frame["n_unprofitable"]
    return SimpleNamespace(frame=frame.assign(service=frame["cost"]), about=ABOUT)


def test_equal_customers_are_not_concentrated():
    table = fee_concentration(hundredths([5_000] * 100), hundredths([5_000] * 100)).table
    assert table["share"].tolist() == pytest.approx([0.2] * 5) and table["cumulative"].iloc[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("lost", "word"), [([5] * 20 + [1] * 80, "more"), ([1] * 20 + [5] * 80, "fewer"), (2, "alike")]
)
def test_the_loss_of_the_best_is_told_by_its_interval(lost, word):
    result = fee_concentration(hundredths([5_000] * 100), hundredths([5_000] * 100, lost=lost))
    assert result.findings[1].key == f"value.best.{word}" and said(result)


def test_nobody_and_a_handful_say_so():
    nobody = SimpleNamespace(frame=hundredths([0] * 100).frame.iloc[:0], about=ABOUT)
    few = SimpleNamespace(frame=hundredths([100] * 100, n=1).frame.iloc[:4], about=ABOUT)
    for counted in (nobody, few):
        assert fee_concentration(counted, counted).findings[0].key == "value.best.unknown"
        assert service_cost(counted).findings[0].key == "value.cost.unknown"
        assert fee_concentration(counted, counted).plot() is None


@pytest.mark.parametrize(("bad", "keys"), [(0, ["none"]), ([1] + [0] * 99, ["not_shown"]), (3, ["some"])])
def test_costly_customers_are_told_unless_they_are_a_handful(bad, keys):
    result = service_cost(hundredths([5_000] * 100, cost=2_000, bad=bad))
    assert [f.key.removeprefix("value.cost.") for f in result.findings][: len(keys)] == keys and said(result)
    if keys == ["some"]:
        assert result.findings[1].key == "value.margin.alike"
        assert result.table["margin"].tolist() == pytest.approx([0.6] * 5)


def banded(rows, k=5):
    """Count customers by band before and band now."""
    frame = pd.DataFrame(rows, columns=["band_before", "band_now", "n_customers"])
    frame = frame.assign(amount_before=0, amount_now=0)
    return value_migration(SimpleNamespace(frame=frame, about=replace(ABOUT, privacy_k=k)))


@pytest.mark.parametrize(("down", "up", "word"), [(300, 100, "down"), (100, 300, "up"), (205, 200, "level")])
def test_value_churn_is_the_surplus_of_falls_over_rises(down, up, word):
    stay = [("high", "high", 1000), ("low", "low", 1000), ("high", "left", 90)]
    result = banded([*stay, ("high", "low", down), ("low", "high", up)])
    assert result.findings[0].key == f"value.bands.{word}" and said(result)
    assert result.findings[0].values["n"] == 2000 + down + up  # those who left are no value churn
    assert result.findings[0].weight == pytest.approx(abs(down - up) * 2 / 3)  # two bands of three down


def test_a_small_cell_is_hidden_with_a_second_one():
    result = banded([("high", "high", 500), ("high", "low", 3), ("high", "left", 90), ("low", "low", 100)])
    high = result.shown.set_index("band").loc["high"]
    assert pd.isna(high["low"]) and pd.isna(high["left"]) and high["high"] > 0.8
    assert result.findings[0].key == "value.bands.not_shown"


def cohort_cells(rate=0.98, months=24):
    """Count one steady course of retention over cohorts of a thousand."""
    rows = []
    for back in range(months, 0, -1):
        month = ABOUT.period.shift(1 - back)
        for age in range(back):
            there = month.shift(age)
            rows.append((str(month), age, 1000, round(1000 * rate**age), there.first, there.last, False))
    names = ["cohort", "age", "n_start", "n_retained", "first_completes", "last_completes", "is_truncated"]
    return SimpleNamespace(frame=pd.DataFrame(rows, columns=names), about=ABOUT)


def test_at_a_constant_rate_both_values_agree_when_the_horizon_is_far():
    books = booked([200] * 14)
    projection = project_retention(cohort_cells(), horizon=600)
    table = customer_value(books, projection, margin=1.0, discount=0.0).table.set_index("method")
    # the mean stay counts who leaves in the middle of the month: half a month less than 1 / rate
    assert table["months"]["survival"] == pytest.approx(1 / 0.02 - 0.5, rel=0.02)
    assert table["months"]["simple"] == pytest.approx(table["months"]["survival"], rel=0.05)
    assert table["value"]["discounted"] == pytest.approx(table["value"]["survival"])


def test_margin_and_discount_only_take_away():
    result = customer_value(booked([200] * 14), project_retention(cohort_cells()), margin=0.5, discount=0.1)
    value = result.table.set_index("method")["value"]
    assert value["discounted"] < 0.5 * value["survival"] and result.findings[0].key == "value.clv.both" and said(result)


def test_the_simple_value_has_no_end_without_losses_and_stands_alone_without_a_projection():
    nothing = project_retention(cohort_cells(months=2))
    assert customer_value(booked([200] * 14), nothing).findings[0].key == "value.clv.simple_only"
    held = project_retention(cohort_cells())
    missed = replace(held, backtest=replace(held.backtest, table=held.backtest.table.assign(n_inside=0)))
    for projection, rough in ((held, False), (missed, True)):
        notes = [note.key for note in customer_value(booked([200] * 14), projection).notes]
        assert ("value.clv.rough" in notes) == rough  # an interval that the test has refused is not left uncommented
    assert customer_value(booked([0] * 14), nothing).findings[0].key == "value.clv.unknown"
    lasting = customer_value(booked([0] * 14), project_retention(cohort_cells()))
    assert lasting.findings[0].key == "value.clv.survival_only" and said(lasting)
