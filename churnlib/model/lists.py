"""Several lists of the same customers: what one of them does not say, the others do.

Companies keep the start of a customer in one file, the plan in another, the mark of churn in a third. Lists that
declare different columns complete each other by customer; lists of the same columns (a file a year) are read one after
another.
"""

from __future__ import annotations

from churnlib.engine import Engine, quote
from churnlib.model.rowbook import FILE_BITS, LINE_BITS
from churnlib.model.schema import Spec

SOURCE = f"t._at >> {FILE_BITS + LINE_BITS}"  # SQL of the number of the list that a row comes from

# One row per row read, with what the other lists say of its customer; the smallest value where one list says several.
COMPLETE = """
UPDATE typed_customers AS t SET {values}
FROM (SELECT who, {known} FROM typed_customers WHERE who IS NOT NULL GROUP BY who) AS k WHERE k.who = t.who
"""


def complete_each_other(spec: Spec) -> bool:
    """Tell whether no two lists of customers declare a column in common, but for the customer."""
    columns = [set(source.columns) - {"customer_id"} for source in spec.tables.get("customers", ())]
    return len(columns) > 1 and sum(map(len, columns)) == len(set().union(*columns))


def completed(engine: Engine, spec: Spec) -> None:
    """Give the typed rows of one customer in different lists the same values."""
    names = [name for source in spec.tables["customers"] for name in source.columns if name != "customer_id"]
    values = ", ".join(f"{quote(n)} = coalesce(t.{quote(n)}, k.{quote(n)})" for n in names)
    known = ", ".join(f"min({quote(n)}) AS {quote(n)}" for n in names)
    engine.run(COMPLETE.format(values=values, known=known))
