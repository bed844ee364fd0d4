"""The packaged condition sets, a list of one's own, and what a list leaves uncovered."""

from pathlib import Path

import pandas as pd
import pytest

from lakemedelsmodell import facts
from lakemedelsmodell.conditions import THEMES, Condition, ConditionSet, condition_set, read_condition_list
from lakemedelsmodell.errors import DataError, UserError

NARROW, WIDE = condition_set("skane_narrow"), condition_set("skane_wide")


def conditions_of(conditions: ConditionSet, *codes: str) -> list[str]:
    return conditions.expand(codes)["condition"].tolist()


# --- The packaged sets ---------------------------------------------------------------------------------------------

def test_narrow_is_the_18_groups_suggested_as_markers():
    assert set(NARROW.names) == {g.drug_group for g in facts.drug_groups() if g.model_use.startswith("marker")}
    assert len(NARROW.names) == 18


def test_wide_adds_what_makes_cardiovascular_disease_whole():
    assert set(WIDE.names) - set(NARROW.names) == {"hypertoni", "lipid", "mra"}
    assert "biologiska" not in WIDE.names


def test_the_five_conditions_named_in_the_meeting_are_recognisable():
    by_theme = {theme: {c.name for c in WIDE.conditions if c.theme == theme} for theme in THEMES}
    assert by_theme["diabetes"] == {"diabetes_insulin", "diabetes_oral", "diabetes_glp1"}
    assert by_theme["cardiovascular"] == {"ihd_antiplatelet", "hypertoni", "mra", "arni", "lipid"}
    assert by_theme["anticoagulation"] == {"doak", "warfarin_heparin"}
    assert by_theme["inflammatory"] == {"inflammatorisk"}
    assert by_theme["cancer"] == {"cancer_hormon"}


@pytest.mark.parametrize("conditions", [NARROW, WIDE])
def test_every_condition_has_codes_labels_and_a_source(conditions):
    for c in conditions.conditions:
        assert c.include
        assert c.label_sv
        assert c.label_en
        assert "2026-05-07" in c.source
    assert "inte offentlig" in conditions.statement_sv
    assert "not public" in conditions.statement_en


def test_thresholds_are_the_assumed_ones():
    assert {(c.min_dates, c.min_days_apart) for c in WIDE.conditions} == {(2, 45)}
    assert {c.name: c.min_ddd for c in WIDE.conditions if c.min_ddd != 180} == {"astma": 90}
    assert {c.name: c.yields_to for c in WIDE.conditions if c.yields_to} == {"astma": ("kol",)}


@pytest.mark.parametrize(("atc", "held", "why"), [
    ("J01CE02", [], "antibiotics are mostly short courses"),
    ("A10BA02", ["diabetes_oral"], "metformin"),
    ("A10BK01", ["sglt2"], "SGLT2 treats heart failure too: alone no diabetes"),
    ("C02AC02", [], "guanfacine is ADHD, not hypertension"),
    ("C09DX04", ["arni"], "sacubitril is heart failure, not hypertension"),
    ("C09AA02", ["hypertoni"], "enalapril"),
    ("N03AX12", [], "gabapentin by its old code"),
    ("N02BF01", [], "gabapentin by its new code"),
    ("N03AX14", ["epilepsi"], "levetiracetam"),
    ("L01BA01", ["inflammatorisk"], "methotrexate by its old code"),
    ("L04AX03", ["inflammatorisk"], "methotrexate by its new code"),
    ("L04AA13", ["inflammatorisk"], "leflunomide by its old code"),
    ("L04AK01", ["inflammatorisk"], "leflunomide by its new code"),
    ("L04AB04", [], "biologicals are in neither set"),
    ("L02BB04", [], "enzalutamide is prescribed by hospitals"),
    ("R03AC18", ["kol"], "indacaterol is COPD, not asthma"),
    ("R03AC02", ["astma"], "salbutamol"),
])
def test_coding_traps(atc, held, why):
    assert conditions_of(WIDE, atc) == held, why


def test_no_code_of_the_packaged_substances_is_in_two_conditions():
    codes = facts.substances().assign(rows=1)
    assert WIDE.coverage(codes[["atc", "rows"]]).several.empty


def test_a_rule_is_said_in_plain_words():
    assert WIDE.describe("astma", "en") == (
        "Dispensed in the look-back. Defended rule: at least 2 dates, at least 45 days from first to last, "
        "at least 90 DDD. Not counted beside COPD.")
    assert WIDE.describe("astma", "sv").endswith("Räknas inte bredvid KOL.")


def test_an_unknown_set_is_a_users_mistake():
    with pytest.raises(UserError, match="Did you mean skane_wide") as e:
        condition_set("skane_wdie")
    assert e.value.exit_code == 2


# --- A list of one's own -------------------------------------------------------------------------------------------

@pytest.fixture
def written(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "mine.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_short_list(written):
    mine = read_condition_list(written("condition,atc\ndiabetes,A10\nkol,R03BB\nkol,r03 al.\n"))
    assert mine.name == "mine"
    assert mine.names == ("diabetes", "kol")
    assert mine["kol"] == Condition("kol", include=("R03BB", "R03AL"))


def test_swedish_excel_writes_semicolons_decimal_commas_and_cp1252(written):
    mine = read_condition_list(written(
        "condition;atc;exclude;min_ddd;yields_to;label_sv\r\n"
        "åderbråck;C05;nej;1 090,5;hjärta;Åderbråck\r\n"
        "åderbråck;C05A;ja;1 090,5;hjärta;Åderbråck\r\n"
        ";;;;;\r\n"
        "hjärta;C01;;;;\r\n", encoding="cp1252"))
    assert mine["åderbråck"] == Condition("åderbråck", label_sv="Åderbråck", include=("C05",), exclude=("C05A",),
                                          min_ddd=1090.5, yields_to=("hjärta",))


def test_numbers_and_truth_as_other_programs_write_them(written):
    mine = read_condition_list(written(
        "Condition,ATC,exclude,min_dates,min_days_apart,marker_only\na,A10,FALSE,2.0,0,True\na,A10X,Ja,2,0.0,1\n"))
    assert mine["a"] == Condition("a", include=("A10",), exclude=("A10X",), min_dates=2, min_days_apart=0,
                                  marker_only=True)


def test_several_conditions_in_one_field(written):
    for text in ('condition,atc,requires\nab,,a;b\na,A,\nb,B,\n', 'condition;atc;requires\nab;;"a; b"\na;A;\nb;B;\n'):
        assert read_condition_list(written(text))["ab"] == Condition("ab", requires=("a", "b"))


def test_utf8_with_a_byte_order_mark(written):
    assert read_condition_list(written("condition,atc\nkol,R03BB\n", encoding="utf-8-sig")).names == ("kol",)


def test_markers_only_are_not_reported_but_expanded(written):
    mine = read_condition_list(written(
        "condition,atc,requires,yields_to,marker_only\nhyp,C09,,,true\nDM2,A10B,,DM2hyp,\nDM2hyp,,DM2;hyp,,\n"))
    assert mine.names == ("DM2", "DM2hyp")
    assert conditions_of(mine, "C09AA02", "A10BA02") == ["DM2", "hyp"]


@pytest.mark.parametrize("conditions", [NARROW, WIDE], ids=lambda s: s.name)
def test_a_set_written_is_the_set_read(conditions, tmp_path):
    conditions.to_csv(tmp_path / "copy.csv")
    assert condition_set(tmp_path / "copy.csv").conditions == conditions.conditions


@pytest.mark.parametrize(("text", "complaint"), [
    ("condition,atc\n", "mine.csv: the table is empty."),
    ("condition;kod\na;A10\n", "mine.csv, column atc: the column is missing."),
    ("condition,atc,ddd\na,A10,5\n", "mine.csv, column ddd: unknown column."),
    ("condition,atc,atc\na,A10,A11\n", "mine.csv, column atc: the column is there twice."),
    ("condition,atc\na,A10\nb,A1O\n", "mine.csv, row 2, column atc, value 'A1O': not an ATC code"),
    ("condition,atc\na,A10 A11\n", "mine.csv, row 1, column atc, value 'A10 A11': not an ATC code"),
    ("condition,atc\na,A10BA022\n", "value 'A10BA022': not an ATC code"),
    ("condition,atc\n,A10\n", "mine.csv, row 1, column condition, value '': not a name"),
    ("condition,atc\nperson_id,A10\n", "value 'person_id': not a name"),
    ("condition,atc\nDM2,A10B\ndm2,A10A\n", "row 2, column condition, value 'dm2': differs from DM2 in case"),
    ("condition,atc,exclude\na,A10,maybe\n", "column exclude, value 'maybe': the value cannot be read. Write true, "),
    ("condition,atc,exclude\na,,true\n", "an exclusion without a code"),
    ("condition,atc,exclude\na,A10,true\n", "a has no code that counts"),
    ("condition,atc\na,\n", "a has no code that counts"),
    ("condition,atc,min_dates\na,A10,two\n", "column min_dates, value 'two': the value cannot be read. Write a whole"),
    ("condition,atc,min_dates\na,A10,2.5\n", "column min_dates, value '2.5'"),
    ("condition,atc,min_days_apart\na,A10,-1\n", "column min_days_apart, value '-1'"),
    ("condition,atc,min_ddd\na,A10,many\n", "column min_ddd, value 'many': the value cannot be read. Write a number"),
    ("condition,atc,min_ddd\na,A10,nan\n", "column min_ddd, value 'nan'"),
    ("condition,atc,min_packages\na,A10,-3\n", "column min_packages, value '-3'"),
    ("condition,atc,theme\na,A10,sugar\n", "column theme, value 'sugar': the value cannot be read. Write one of"),
    ("condition,atc,min_ddd\na,A10,180\na,A11,90\n", "mine.csv, row 2, column min_ddd, value '90': differs from row 1"),
    ("condition,atc,requires\na,A10,b\n", "mine.csv, row 1, column requires, value 'b': no such condition"),
    ("condition,atc,yields_to\na,A10,b\n", "mine.csv, row 1, column yields_to, value 'b': no such condition"),
    ("condition,atc,yields_to\na,A10,a\n", "value 'a': the condition names itself"),
    ("condition,atc,requires\na,A,b\nb,B,c\nc,C,a\n", "require each other in a circle: a → b → c → a"),
    ("condition,atc,requires,min_ddd\na,A,,\nb,,a,90\n", "mine.csv, row 2, column atc, value '': b has thresholds"),
    ("condition,atc\na,A10,5\n", "mine.csv, row 1: more or fewer fields than the header"),
    ("condition,atc,exclude\na,A10\n", "mine.csv, row 1: more or fewer fields than the header"),
])
def test_a_mistake_is_told_by_file_row_column_value_and_remedy(text, complaint, written):
    with pytest.raises(DataError) as e:
        read_condition_list(written(text))
    message = str(e.value)
    assert complaint in message
    assert e.value.exit_code == 1
    assert all(p.remedy for p in e.value.problems)


def test_all_mistakes_are_told_at_once(written):
    with pytest.raises(DataError) as e:
        read_condition_list(written("condition,atc,requires,min_ddd\na,A1O,b,180\na,A10,b,x\n"))
    assert len(e.value.problems) == 3


def test_a_circle_is_told_once_however_often_it_is_met(written):
    with pytest.raises(DataError) as e:
        read_condition_list(written("condition,atc,requires\na,A,b\nb,B,c\nc,C,b\nd,D,b;c\n"))
    assert [p.problem for p in e.value.problems] == ["the conditions require each other in a circle: b → c → b"]


def test_a_missing_or_unreadable_file(tmp_path, written):
    with pytest.raises(DataError, match="mine.csv: no CSV: .* Close every quote"):
        read_condition_list(written('condition,atc\n"' + 50_000 * "a,A10\n"))
    with pytest.raises(DataError, match="nowhere.csv: the file cannot be opened"):
        condition_set(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="mine.csv: the encoding cannot be read"):
        read_condition_list(written("condition,atc\na,A10\n", encoding="utf-16-le"))


# --- Coverage ------------------------------------------------------------------------------------------------------

def test_coverage_names_codes_without_a_condition_with_several_and_idle_entries(written):
    mine = read_condition_list(written(
        "condition,atc,exclude\nall diabetes,A10,\nall diabetes,A10X,true\noral,A10B,\noral,A11,\n"))
    coverage = mine.coverage(pd.DataFrame({
        "atc": ["A10BA02", "J01CE02", "N02BE01"], "rows": [5, 2, 9], "cost_sek": [300.0, 100.0, 600.0]}))
    assert coverage.unmatched["atc"].tolist() == ["N02BE01", "J01CE02"]
    assert coverage.several.to_dict("records") == [
        {"atc": "A10BA02", "conditions": "all diabetes, oral", "rows": 5, "cost_sek": 300.0}]
    assert coverage.unused.to_dict("records") == [{"condition": "all diabetes", "atc": "A10X", "exclude": True},
                                                 {"condition": "oral", "atc": "A11", "exclude": False}]
    assert str(coverage) == ("Of 3 codes, 2 (70% of cost) match no condition and 1 match several; "
                             "2 list entries match nothing.")
    assert coverage.to_frame()["finding"].value_counts().tolist() == [2, 2, 1]
    assert "A10X" in coverage._repr_html_()


def test_coverage_without_cost_says_nothing_of_cost():
    coverage = WIDE.coverage(pd.DataFrame({"atc": ["A10BA02", "J01CE02"], "rows": [1, 1]}))
    assert "cost" not in str(coverage)
    assert coverage.unmatched["cost_sek"].isna().all()


def test_coverage_of_no_codes():
    coverage = WIDE.coverage(pd.DataFrame({"atc": pd.Series(dtype=str), "rows": pd.Series(dtype=int)}))
    assert coverage.codes == 0
    assert len(coverage.unused) == sum(len(c.include) + len(c.exclude) for c in WIDE.conditions)
