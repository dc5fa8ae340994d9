"""One extract without dates: how long a customer has been one and whether they left, told as a start and an end.

Public and exported churn files often hold no dates, only a tenure and a mark. The rest of the workbook knows dates: the
start lies `tenure` before the last day covered, and who is marked as churned ended on that day.
"""

from __future__ import annotations

from churnlib.engine import Engine
from churnlib.model import rules
from churnlib.model.intake import Intake
from churnlib.model.schema import Spec

TOLD = {"tenure": "start_date", "churned": "end_date"}
LONGEST = {"month": 1_200, "day": 36_525}  # a hundred years: beyond it the unit is wrong
STARTS = {
    # exit at `tenure` whole months: see the clock in churnlib.counts.tenure
    "month": "date_trunc('month', CAST($as_of AS DATE)) - to_months(CAST({tenure} AS INTEGER))",
    # a spell of one day has exit 1
    "day": "CAST($as_of AS DATE) - greatest(CAST({tenure} AS INTEGER) - 1, 0)",
}

# Dates of their own come first; no row is added or taken away. Tenures out of range are set aside: here they only must
# not break the arithmetic.
TENURE = "floor(least(greatest(tenure, 0), {longest}))"
DATED = """
UPDATE typed_customers SET
  start_date = coalesce(start_date, CASE WHEN tenure IS NOT NULL THEN CAST({start} AS DATE) END),
  end_date = coalesce(end_date, CASE WHEN churned THEN CAST($as_of AS DATE) END)
"""


def dated(engine: Engine, spec: Spec, listed: Intake) -> Intake:
    """Give the typed customers of a snapshot their start and end.

    Parameters
    ----------
    engine : Engine
    spec : Spec
        Its `time_unit` is the unit of the tenure: completed months or days.
    listed : Intake
        Of the customers.

    Returns
    -------
    Intake
        With start_date and end_date among the declared columns in place of tenure and churned. Rows whose tenure is
        negative or longer than a hundred years, and rows without a mark, are set aside.
    """
    given = set(TOLD) & listed.declared
    if not given:
        return listed
    longest = LONGEST[spec.time_unit]
    wrong = f"t.tenure IS NOT NULL AND t.tenure NOT BETWEEN 0 AND {longest}"
    # a tenure that is missing, a mark that is missing, a mark beside a blank day, which must not be made up
    absent = [
        rules.Check("missing_value", name, f"t.{name} IS NULL", f"'{name}'")
        for name, date in TOLD.items()
        if name in given and date not in listed.declared
    ]
    undated = rules.Check("outcome_without_end", "end_date", "t.churned AND t.end_date IS NULL")
    checks = [rules.Check("bad_number", "tenure", wrong, "CAST(t.tenure AS VARCHAR)"), *absent]
    for check in [*checks, undated] if "end_date" in listed.declared else checks:
        rules.set_aside_where(engine, spec, "customers", check)
    start = STARTS[spec.time_unit].format(tenure=TENURE.format(longest=longest))
    engine.run(DATED.format(start=start), {"as_of": spec.as_of})
    columns = {name: kind for name, kind in listed.columns.items() if name not in TOLD}
    declared = (listed.declared - set(TOLD)) | {date for name, date in TOLD.items() if name in given}
    return listed._replace(columns=columns, declared=declared)
