"""Who is a customer, since when and until when: from lists of customers, marks without dates, or the other tables.

Companies keep the start of a customer in one file, the plan in another, the mark of churn in a third: lists that
declare different columns complete each other by customer, lists of the same columns (a file a year) follow each other.
Public and exported churn files often hold no dates, only a tenure and a mark: the start then lies `tenure` before the
last day covered, and who is marked as churned ended on that day. Whom no list names is known by contracts or activity.
"""

from __future__ import annotations

from churnlib.engine import Engine, quote
from churnlib.model import rules
from churnlib.model.intake import Intake
from churnlib.model.rowbook import FILE_BITS, LINE_BITS, USED
from churnlib.model.schema import Spec

TOLD = {"tenure": "start_date", "churned": "end_date"}
LONGEST = {"month": 1_200, "day": 36_525}  # a hundred years: beyond it the unit is wrong
STARTS = {
    # exit at `tenure` whole months: see the clock in churnlib.counts.tenure
    "month": "date_trunc('month', CAST($as_of AS DATE)) - to_months(CAST({tenure} AS INTEGER))",
    # a spell of one day has exit 1
    "day": "CAST($as_of AS DATE) - greatest(CAST({tenure} AS INTEGER) - 1, 0)",
}

# One row per row read, with what the other lists say of its customer; the smallest value where one list says several.
COMPLETE = """
UPDATE typed_customers AS t SET {values}
FROM (SELECT who, {known} FROM typed_customers WHERE who IS NOT NULL GROUP BY who) AS k WHERE k.who = t.who
"""

# Dates of their own come first; no row is added or taken away. Tenures out of range are set aside: here they only must
# not break the arithmetic.
TENURE = "floor(least(greatest(tenure, 0), {longest}))"
DATED = """
UPDATE typed_customers SET
  start_date = coalesce(start_date, CASE WHEN tenure IS NOT NULL THEN CAST({start} AS DATE) END),
  end_date = coalesce(end_date, CASE WHEN churned THEN CAST($as_of AS DATE) END)
"""

NO_CUSTOMERS = """
CREATE TABLE typed_customers (_at BIGINT, who INTEGER, start_date DATE, end_date DATE, outcome VARCHAR)
"""

# One row per customer and the first day on which their contracts or activity show them.
FIRST_SEEN = """
CREATE TABLE first_seen AS
SELECT who, min(day) AS day FROM ({days}) WHERE who IS NOT NULL AND day IS NOT NULL GROUP BY who
"""

# Customers without a start of their own whom no contract or activity shows either.
NEVER_SEEN = """(
  SELECT c.* FROM typed_customers AS c LEFT JOIN first_seen AS f ON f.who = c.who
  WHERE c.start_date IS NULL AND f.day IS NULL)"""

# One row per customer who is used.
PEOPLE = """
CREATE TABLE people AS
SELECT t.* REPLACE (coalesce(t.start_date, least(f.day, coalesce(t.end_date, f.day))) AS start_date)
FROM typed_customers AS t LEFT JOIN first_seen AS f ON f.who = t.who WHERE {used}
QUALIFY row_number() OVER (PARTITION BY t.who ORDER BY t._at) = 1
"""

# One row per customer whom only contracts or activity know.
DERIVED = """
INSERT INTO people BY NAME
SELECT f.who, f.day AS start_date FROM first_seen AS f
WHERE NOT EXISTS (SELECT 1 FROM typed_customers AS c WHERE c.who = f.who)
"""

# One row per customer: the code is the rank of the id, so that the order of rows in files means nothing.
IDS = """
CREATE TABLE ids AS
SELECT CAST(row_number() OVER (ORDER BY w.customer_id NULLS LAST) AS INTEGER) AS customer, w.customer_id, p.who
FROM people AS p JOIN who_is AS w ON w.who = p.who
"""


def with_dates(engine: Engine, spec: Spec, listed: Intake) -> Intake:
    """Let the lists of customers complete each other, and tell tenures and marks as starts and ends.

    The tenure counts completed months or days, as `time_unit` says. Rows whose tenure is negative or longer than a
    hundred years, and rows without a mark, are set aside. In what is given back start_date and end_date are declared in
    the place of tenure and churned.
    """
    if _complete_each_other(spec):
        names = [quote(name) for source in spec.tables["customers"] for name in source.columns if name != "customer_id"]
        values = ", ".join(f"{n} = coalesce(t.{n}, k.{n})" for n in names)
        engine.run(COMPLETE.format(values=values, known=", ".join(f"min({n}) AS {n}" for n in names)))
    given = set(TOLD) & listed.declared
    if not given:
        return listed
    longest = LONGEST[spec.time_unit]
    wrong = f"t.tenure IS NOT NULL AND t.tenure NOT BETWEEN 0 AND {longest}"
    checks = [rules.Check("bad_number", "tenure", wrong, "CAST(t.tenure AS VARCHAR)")]
    # a tenure that is missing, a mark that is missing, a mark beside a blank day, which must not be made up
    checks += [
        rules.Check("missing_value", name, f"t.{name} IS NULL", f"'{name}'")
        for name, date in TOLD.items()
        if name in given and date not in listed.declared
    ]
    if "end_date" in listed.declared:
        checks.append(rules.Check("outcome_without_end", "end_date", "t.churned AND t.end_date IS NULL"))
    for check in checks:
        rules.set_aside_where(engine, spec, "customers", check)
    start = STARTS[spec.time_unit].format(tenure=TENURE.format(longest=longest))
    engine.run(DATED.format(start=start), {"as_of": spec.as_of})
    columns = {name: kind for name, kind in listed.columns.items() if name not in TOLD}
    return listed._replace(columns=columns, declared=listed.declared - set(TOLD) | {TOLD[name] for name in given})


def code_customers(engine: Engine, spec: Spec, taken: dict[str, Intake]) -> None:
    """Decide who is a customer and since when (table `people`), and give them their codes (table `ids`)."""
    listed = taken.get("customers")
    if listed:  # rows of lists that complete each other do not contradict each other
        among = f"t._at >> {FILE_BITS + LINE_BITS}" if _complete_each_other(spec) else "0"
        rules.set_aside_conflicts(engine, spec, listed.columns, among)
    else:
        engine.run(NO_CUSTOMERS)
    has_start = listed is not None and "start_date" in listed.declared and spec.severity("missing_start") != "keep"
    adds_strangers = listed is None or spec.severity("unknown_customer") == "keep"
    seen = {"contracts": "start_date", "activity": "date"} if adds_strangers or not has_start else {}
    days = [
        f"SELECT t.who, t.{day} AS day FROM typed_{table} AS t WHERE {USED.format(table=table)}"  # noqa: S608
        for table, day in seen.items()
        if table in taken
    ]
    engine.run(FIRST_SEEN.format(days=" UNION ALL ".join(days) or "SELECT 0 AS who, CAST(NULL AS DATE) AS day"))
    if not has_start:
        rules.set_aside_where(engine, spec, "customers", rules.Check("missing_start", "start_date", "TRUE"), NEVER_SEEN)
    engine.run(PEOPLE.format(used=USED.format(table="customers")))
    if adds_strangers:
        engine.run(DERIVED)
    engine.run(IDS)


def _complete_each_other(spec: Spec) -> bool:
    """Whether no two lists of customers declare a column in common, but for the customer."""
    columns = [set(source.columns) - {"customer_id"} for source in spec.tables.get("customers", ())]
    return len(columns) > 1 and sum(map(len, columns)) == len(set().union(*columns))
