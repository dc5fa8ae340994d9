"""A dataset.yml is checked before any data are read, and its problems are told with key, line and near misses."""

from datetime import date

import pytest

from churnlib import text
from churnlib.model import schema
from churnlib.model.vocabulary import RULES, TABLES

GOOD = """\
title: {zh: 示例公司（模拟数据）, en: Sample company (simulated data)}
as_of: 2026-01-12
tables:
  customers:
    file: 客户档案.csv
    columns:
      customer_id: 客户编号
      start_date: 入网日期
      outcome: {column: 离网类型, values: {主动离网: voluntary, NO: unknown}, default: unknown}
      region: 大区
      age: {column: 年龄, type: number}
definitions:
  silent: {kind: inactivity, at_risk: 6 months, limit: 12 个月}
segments:
  region: {label: 大区, column: region, values: {华南: South China}}
  age: {column: age, bins: [0, 25]}
"""


@pytest.fixture(params=text.LANGUAGES)
def language(request):
    before = text.language()
    text.set_language(request.param)
    yield request.param
    text.set_language(before)


def load(folder, content):
    path = folder / "dataset.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return schema.load(path)


def told(folder, content):
    with pytest.raises(text.DataError) as problem:
        load(folder, content)
    message = str(problem.value)
    assert "\n" not in message and "dataset.yml" in message
    return message


def test_a_good_description_is_read(tmp_path):
    spec = load(tmp_path, GOOD)
    assert spec.as_of == date(2026, 1, 12)
    assert spec.title.zh == "示例公司（模拟数据）"
    assert spec.tables["customers"][0].columns["start_date"].column == "入网日期"
    assert spec.definitions["silent"].limit == schema.Duration(12, "months")
    assert list(spec.attributes) == ["region", "age"]
    assert (spec.thresholds.privacy_k, spec.timezone) == (5, "Asia/Shanghai")


def test_words_stay_the_text_that_the_user_wrote(tmp_path):
    content = GOOD.replace("大区\n", "001\n").replace("NO:", "NO: unknown, 2024-01:").replace("华南", "007")
    spec = load(tmp_path, content)
    columns = spec.tables["customers"][0].columns
    assert columns["region"].column == "001"
    assert set(columns["outcome"].values) == {"主动离网", "NO", "2024-01"}
    assert "007" in spec.segments["region"].values


def test_without_a_definition_the_tables_say_what_churn_is(tmp_path):
    without = GOOD[: GOOD.index("definitions")]
    assert load(tmp_path, without).definition == "inactive"
    ends = without.replace("      region: 大区\n", "      end_date: 离网日期\n")
    assert load(tmp_path, ends).definition == "contract_end"


@pytest.mark.parametrize(
    "old, new, line, named",
    [
        ("    columns", "    colums", 6, "columns"),
        ("tables:", "tabels:", 3, "tables"),
        ("  customers:", "  custmers:", 4, "customers"),
        ("start_date:", "strat_date:", 8, "start_date"),
        ("customer_id:", "customer_number:", 6, "customer_id"),
        ("2026-01-12", "12/1/26", 2, "12/1/26"),
        ("NO: unknown", "NO: unknwon", 9, "unknown"),
        ("default: unknown", "default: unkown", 9, "unknown"),
        ("title:", "titel:", 1, "title"),
        ("inactivity", "inactive", 13, "inactivity"),
        ("6 months", "6 moons", 13, "6 moons"),
        ("at_risk: 6 months, ", "", 13, "at_risk"),
        ("at_risk: 6", "at_risk: 12", 13, "limit"),
        ("column: region", "column: regon", 15, "region"),
        ("[0, 25]", "[30, 25]", 16, "segments.age"),
        ("[0, 25]", "[0, 25], labels: {zh: [甲]}", 16, "segments.age"),
        ("type: number", "type: numbr", 11, "number"),
        (", type: number", "", 16, "type: number"),
        ("column: region", "column: region, assignment: plan", 15, "assignment"),
        ("column: region", "assignment: plan", 15, "tables.assignments"),
        ("  silent:", "  my silent:", 13, "my silent"),
        ("region: 大区", "customer: 大区", 10, "customer"),
        ("region: 大区", "_at: 大区", 10, "_at"),
        ("title: {zh: 示例公司（模拟数据）,", "title: {de: 示例公司（模拟数据）,", 1, "title"),
    ],
)
def test_a_slip_is_named_with_its_line_and_what_was_meant(tmp_path, language, old, new, line, named):
    message = told(tmp_path, GOOD.replace(old, new, 1))
    assert named in message
    assert (f"第 {line} 行" if language == "zh" else f"line {line}:") in message


@pytest.mark.parametrize(
    "added, named",
    [
        ("rules: {end_befor_start: keep}", "end_before_start"),
        ("rules: {missing_id: keep}", "set_aside"),
        ("rules: {end_before_start: ignore}", "set_aside"),
        ("reasons: {values: {贵: price.to_high}}", "price.too_high"),
        ("reasons: {columns: {贵: prices}}", "price"),
        ("reasons: {groups: {platform: {label: 平台, members: [prod]}}}", "product"),
        ("segment: agee", "age"),
        ("definition: silnt", "silent"),
        ("exclusions: {test: {where: {regio: [测试]}}}", "region"),
        ("roles: {personal: [phone]}", "phone"),
        ("roles: {personal: [region]}", "region"),
        ("thresholds: {privacy_k: 0}", "≥ 1"),
        ("thresholds: {conf_level: 0.99}", "≤ 0.95"),  # every sentence says 95 %
        ("thresholds: {min_denominator: many}", "many"),
        ("timezone: Asia/Beijing", "Asia/Shanghai"),
        ("observed_from: 2027-01-01", "2026-01-12"),
        ("language: fr", "zh"),
        ("title: twice", "title"),
        ("make: ../../evil.py", "evil.py"),
        ("make: /bin/sh", "/bin/sh"),
        ("definitions_: 1", "definitions"),
    ],
)
def test_a_block_that_does_not_fit_is_refused(tmp_path, language, added, named):
    assert named in told(tmp_path, GOOD + added)


@pytest.mark.parametrize(
    "path", ["../geheim.csv", "/etc/passwd", "a/../../b.csv", "C:\\data\\x.csv", "..\\x.csv", "~/x.csv", "link/x.csv"]
)
def test_paths_stay_inside_the_data_folder_unless_allowed(tmp_path, language, path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path)
    content = GOOD.replace("客户档案.csv", path)
    assert "allow_outside" in told(tmp_path / "set", content)
    assert load(tmp_path / "set", content + "allow_outside: true").allow_outside


@pytest.mark.parametrize(
    "content",
    [
        "",
        "- a\n- b",
        "just text",
        "title: [",
        "a: &x [1]\nb: *x",
        "[" * 5000,
        "title: !!python/object/apply:os.system ['true']",
        b"\xff\xfe\x00",
        "\u5ba2\u6237: 1".encode("gb18030"),
        "a: 1\n" * 300_000,
        "title: a\tb: c: d",
    ],
)
def test_what_is_no_description_gives_one_clear_line(tmp_path, language, content):
    assert len(told(tmp_path, content)) < 300


def test_a_query_never_carries_its_address(tmp_path, language):
    source = "    sql: {url: 'postgresql://me:secret@host/db', table: customers}"
    assert "url_env" in told(tmp_path, GOOD.replace("    file: 客户档案.csv", source))
    assert "secret" not in told(tmp_path, GOOD.replace("    file: 客户档案.csv", source))


def test_every_rule_and_column_has_words_in_both_languages():
    for rule, (severity, allowed) in RULES.items():
        assert severity in allowed
        assert text.say(f"rules.{rule}", "zh") and text.say(f"rules.{rule}", "en")
    assert {"customers", "activity"} < set(TABLES)


def test_a_baseline_is_declared_with_what_to_leave_out(tmp_path):
    spec = load(tmp_path, GOOD + "baseline: {from: 2023-01, to: 2024-12, without: [2024-09, 2024-Q4]}\n")
    assert [str(p) for p in (spec.baseline.first, spec.baseline.last, *spec.baseline.without)] == [
        *("2023-01", "2024-12"),
        *("2024-09", "2024-Q4"),
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{form: 2023-01, to: 2024-12}", "from"),  # a near miss
        ("{from: 2023-01, to: 2024-12, withot: 2024-03}", "without"),
        ("{from: 2023-1, to: 2024-12}", "2023-1"),
        ("{from: 2024-12, to: 2023-01}", "2023-01"),
        ("{from: 2023-01, to: 2023-12, without: 2024-03}", "2024-03"),
    ],
)
def test_a_baseline_that_cannot_be_meant_is_told_with_its_line(tmp_path, language, written, said):
    message = told(tmp_path, GOOD + f"baseline: {written}\n")
    assert said in message and "17" in message


def test_all_problems_are_told_at_once(tmp_path):
    def told(content):
        (tmp_path / "dataset.yml").write_text(content, "utf-8")
        with pytest.raises(text.DataError) as problem:
            schema.load(tmp_path / "dataset.yml")
        return [one.key for one in (problem.value, *problem.value.also)]

    tables = "tables: {customers: {file: a.csv, columns: {customer_id: id}}}\n"
    assert told(f"title: x\nas_off: 2024-01-31\nlanguage: fr\n{tables}") == ["schema.unknown_key", "schema.not_one_of"]
    both = "segment: nothing\nsegments: {p: {column: nope}}\n"
    assert told(f"title: x\nas_of: 9999-12-31\n{tables}{both}") == [
        "schema.no_attribute",
        "schema.not_one_of",
        "schema.future_as_of",
    ]
