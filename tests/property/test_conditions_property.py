"""What holds for every list and every code."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from lakemedelsmodell.conditions import THEMES, Condition, ConditionSet, condition_set, read_condition_list
from lakemedelsmodell.errors import DataError

CODES = st.builds("{}{}{}{}{}".format, st.sampled_from("AC"), st.sampled_from(["01", "10"]), st.sampled_from("AB"),
                  st.sampled_from("AB"), st.sampled_from(["01", "02", "11"]))
PREFIXES = st.tuples(CODES, st.integers(1, 7)).map(lambda part: part[0][:part[1]])
NAMES = ("a", "b c", "hjärta", "DM2+hyp", "e_5")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8)


@st.composite
def condition_sets(draw) -> ConditionSet:
    """Lists as they may be written: codes, exclusions, thresholds, requirements on earlier ones, ladders."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    conditions = []
    for i, name in enumerate(names):
        requires = tuple(draw(st.lists(st.sampled_from(names[:i]), unique=True))) if i else ()
        others = [other for other in names if other != name]
        include = tuple(draw(st.lists(PREFIXES, min_size=0 if requires else 1, max_size=3, unique=True)))
        rules = {} if not include else {
            "exclude": tuple(draw(st.lists(PREFIXES, max_size=2, unique=True))),
            "exclude_listed": tuple(draw(st.lists(PREFIXES, max_size=2, unique=True))),
            "min_dates": draw(st.none() | st.integers(1, 9)), "min_days_apart": draw(st.none() | st.integers(0, 300)),
            "min_ddd": draw(st.none() | st.floats(0.001, 1e6).map(lambda v: round(v, 3))),
            "min_packages": draw(st.none() | st.integers(1, 99).map(float))}
        conditions.append(Condition(
            name=name, label_sv=draw(TEXT), label_en=draw(TEXT), theme=draw(st.sampled_from(THEMES)), include=include,
            requires=requires, yields_to=tuple(draw(st.lists(st.sampled_from(others), unique=True))) if others else (),
            marker_only=draw(st.booleans()), source=draw(TEXT), **rules))
    return ConditionSet("drawn", tuple(conditions))


@given(condition_sets(), st.lists(CODES))
def test_a_code_counts_where_a_prefix_includes_it_and_none_excludes_it(conditions, codes):
    expected = {(atc, c.name) for atc in codes for c in conditions.conditions
                if any(atc[:len(p)] == p for p in c.include) and not any(atc[:len(p)] == p for p in c.exclude)}
    expanded = conditions.expand(codes)
    assert set(expanded.itertuples(index=False, name=None)) == expected
    assert len(expanded) == len(expected)
    assert expanded.equals(conditions.expand(reversed(codes)))


@given(condition_sets(), st.sets(CODES))
def test_every_code_is_covered_once_or_named(conditions, codes):
    in_data = pd.DataFrame({"atc": pd.Series(sorted(codes), dtype=str), "rows": 1, "cost_sek": 1.0})
    coverage = conditions.coverage(in_data)
    conditions_per_code = conditions.expand(codes).groupby("atc").size()
    assert set(coverage.unmatched["atc"]) == codes - set(conditions_per_code.index)
    assert set(coverage.several["atc"]) == set(conditions_per_code.index[conditions_per_code > 1])
    assert coverage.codes == coverage.rows == len(codes)


@given(condition_sets())
def test_a_list_written_is_the_list_read(conditions):
    with TemporaryDirectory() as folder:
        path = Path(folder, "list.csv")
        conditions.to_csv(path)
        assert read_condition_list(path).conditions == conditions.conditions


@given(condition_sets(), st.booleans())
def test_separator_and_decimal_sign_do_not_matter(conditions, byte_order_mark):
    rows = conditions.to_frame().to_dict("records")
    swedish = io.StringIO()
    out = csv.DictWriter(swedish, list(rows[0]), delimiter=";", lineterminator="\r\n")
    out.writeheader()
    out.writerows({**row, "min_ddd": row["min_ddd"].replace(".", ",")} for row in rows)
    with TemporaryDirectory() as folder:
        path = Path(folder, "list.csv")
        path.write_bytes(swedish.getvalue().encode("utf-8-sig" if byte_order_mark else "utf-8"))
        assert condition_set(path).conditions == conditions.conditions


@given(st.binary(max_size=80).map(lambda b: b"condition,atc,requires\n" + b) | st.binary(max_size=80))
def test_any_bytes_are_a_list_or_a_message(content):
    with TemporaryDirectory() as folder:
        path = Path(folder, "list.csv")
        path.write_bytes(content)
        try:
            assert read_condition_list(path).conditions
        except DataError as e:
            assert all(problem.remedy for problem in e.problems)
