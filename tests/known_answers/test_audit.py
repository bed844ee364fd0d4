"""The audit on a small world: untouched it names nobody, played it names who played and for what."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lakemedelsmodell.conditions import condition_set
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError
from lakemedelsmodell.manipulation.audit import (
    LOOK_AT,
    TESTS,
    Practice,
    Users,
    audit,
    audit_of,
    count_bunching,
    count_change,
    count_level,
    count_stopping,
    pricing,
    read_practice,
    windows,
)
from lakemedelsmodell.manipulation.planting import StarterPacks, TopUps, first_half, power_curve
from lakemedelsmodell.report.audit_page import render_audit, write_audit
from lakemedelsmodell.simulation import simulate

WIDE = condition_set("skane_wide")
MONTHS = [date(2024 + m // 12, m % 12 + 1, 1) for m in range(6, 30)]


@pytest.fixture(scope="module")
def tables():
    return simulate(scale=0.04, centres=60).tables()


@pytest.fixture(scope="module")
def players(tables):
    return tables["centres"]["centre_id"].to_pylist()[:6]


@pytest.fixture(scope="module")
def packs():
    return StarterPacks(WIDE, ("lipid",), first_half(MONTHS))


@pytest.fixture(scope="module")
def untouched(tables):
    return audit(HalfYear.from_frames(**tables), WIDE, amounts=pricing())


@pytest.fixture(scope="module")
def played(tables, players, packs):
    return audit(HalfYear.from_frames(**packs(tables, players, 0.3)), WIDE, amounts=pricing())


def test_windows_are_the_last_year_and_the_one_before():
    found = windows(MONTHS)
    assert (str(found.before), str(found.after)) == ("2024-07..2025-06", "2025-07..2026-06")
    assert found.listed_on == date(2026, 1, 1)
    short = windows(MONTHS[-14:])
    assert (str(short.before), str(short.after)) == ("2025-05..2025-11", "2025-12..2026-06")
    with pytest.raises(DataError, match="11 months are too few"):
        windows(MONTHS[:11])


def users_by_hand(months=MONTHS) -> Users:
    """Two centres of three persons alike, the last of whom came later; four have bought: a stays, b begins and stops
    at once just above the threshold, c has stopped, d begins after the turn of the year."""
    a, b, c, d = 0, 1, 3, 4
    nat = "NaT"
    return Users.of(Practice(
        windows=windows(months), centres=pd.DataFrame({"centre_id": ["x", "y"]}), groups=("g",),
        thresholds=np.array([180.0]), pack_ddd=np.array([10.0]), centre=np.array([0, 0, 0, 1, 1, 1]),
        cell=np.zeros(6, dtype=np.int64), known_before=np.array([True] * 5 + [False]),
        person=np.array([a, b, c, d]), group=np.zeros(4, dtype=np.int64),
        before=np.array([True, False, True, False]), after=np.array([True, True, False, True]),
        ddd_before=np.array([185.0, 0, 190, 0]), ddd_after=np.array([170.0, 180, 0, 400]),
        first=np.array(["2025-07-05", "2025-08-01", nat, "2026-02-01"], dtype="datetime64[D]"),
        last=np.array(["2026-05-05", "2025-08-31", nat, "2026-02-01"], dtype="datetime64[D]")), 0)


def test_what_each_test_counts_by_hand():
    users = users_by_hand()
    level, expected, _, out_of = count_level(users)
    assert (level.tolist(), expected.tolist(), out_of.tolist()) == ([2, 1], [1.5, 1.5], [3, 3])
    new, _, _, at_risk = count_change(users)
    assert (new.tolist(), at_risk.tolist()) == ([1, 1], [2, 1])  # b and d, of those known who had bought nothing
    stopped, expected, _, started = count_stopping(users)
    assert (stopped.tolist(), expected.tolist(), started.tolist()) == ([1, 0], [1, 0], [1, 0])  # b, the only early one
    near, expected, _, bought = count_bunching(users)
    assert (near.tolist(), expected.tolist(), bought.tolist()) == ([1, 0], [1, 0.5], [2, 1])  # half before
    assert [counts.tolist() for counts in count_bunching(users_by_hand(MONTHS[-14:]))] == [[0, 0]] * 4


def test_an_untouched_world_names_nobody(untouched):
    assert untouched.findings.empty
    assert untouched.tested > 500
    assert untouched.tests == TESTS
    assert "Ingen vårdcentral sticker ut" in render_audit(untouched, "sv")


def test_who_played_is_named_for_what_was_played(played, players):
    named = played.findings
    assert set(named["centre_id"]) <= set(players)
    assert set(named["condition"]) == {"lipid"}
    assert set(named["test"]) >= {"change", "stopping"}
    assert named["centre_id"].nunique() >= 4  # two of the lists have fewer than a hundred persons of that age
    assert (named["observed"] >= 5).all()
    left = named["out_of"] - named["observed"]
    assert ((left == 0) | (left >= 5) | left.isna()).all()
    lipid = pricing().first_add_on("lipid")
    np.testing.assert_allclose(named["sek_at_stake"], named["excess"] * lipid * 12)
    assert list(named["look_at_sv"]) == [LOOK_AT[t]["sv"] for t in named["test"]]


def test_a_group_at_stake_counts_once(played):
    largest = played.findings.groupby("centre_id")["sek_at_stake"].max().sum()
    assert played.sek_at_stake == pytest.approx(largest)
    assert played.sek_at_stake < played.findings["sek_at_stake"].sum()


def test_expectations_hardly_depend_on_who_plays(untouched, played, players):
    """A tenth of the region plays and its new users rise by a fifth or more; what is expected of others does not."""
    honest = ~played.centres["centre_id"].isin(players).to_numpy()
    c = WIDE.names.index("lipid")
    before, after = (a.funnels["change"].expected[honest, c].sum() for a in (untouched, played))
    region = [a.funnels["change"].observed[:, c].sum() for a in (untouched, played)]
    assert region[1] > 1.2 * region[0]
    assert after == pytest.approx(before, rel=0.07)


def test_bunching_is_seen_against_the_year_before(tables):
    """Users of a group cut down to just above the limit, at one large centre, in the later window only."""
    half_year = HalfYear.from_frames(**tables)
    practice = read_practice(half_year, WIDE)
    c = WIDE.names.index("hypertoni")
    sizes = np.bincount(practice.centre[practice.person[(practice.group == c) & practice.after]],
                        minlength=len(practice.centres))
    largest = int(sizes.argmax())
    mine = (practice.group == c) & practice.after & (practice.centre[practice.person] == largest)
    assert audit_of(practice, WIDE).findings.empty
    practice.ddd_after[np.flatnonzero(mine)[::3]] = 185.0
    found = audit_of(practice, WIDE).findings
    assert set(found["test"]) == {"bunching"}
    assert set(found["centre_id"]) == {practice.centres["centre_id"][largest]}
    assert found["sek_at_stake"].isna().all()  # no amounts were given


def test_a_whole_series_is_what_the_rule_asks_and_no_starter_pack(tables, players):
    series = StarterPacks(WIDE, ("lipid",), first_half(MONTHS), rule="listed")
    before = tables["dispensings"].num_rows
    added = series(tables, players, 0.2)["dispensings"].slice(before).to_pandas()
    of_one = added.groupby("person_id").agg(ddd=("ddd", "sum"), first=("date", "min"), last=("date", "max"))
    apart = (of_one["last"] - of_one["first"]).map(lambda days: days.days)
    assert (of_one["ddd"] >= 180).all() and (apart >= 45).all()
    found = audit(HalfYear.from_frames(**series(tables, players, 0.3)), WIDE).findings
    assert set(found["test"]) == {"change", "bunching"} and set(found["condition"]) == {"lipid"}  # nobody stops at once


def test_bunching_finds_sums_topped_up_to_the_threshold_and_nothing_else_does(tables, players):
    """Nobody is new and nobody stops; at a twenty-fifth of the persons it takes every inhaler that can be topped up."""
    topped = TopUps(WIDE, ("astma",), (date(2025, 7, 1), date(2026, 7, 1)))
    assert topped(tables, players, 0.0) is tables
    data = topped(tables, players, 1.0)
    practice = read_practice(HalfYear.from_frames(**data), WIDE)
    plain = read_practice(HalfYear.from_frames(**tables), WIDE)
    c = WIDE.names.index("astma")
    at_players = np.isin(practice.centres["centre_id"], players)[practice.centre[practice.person]]
    mine = (practice.group == c) & practice.after & at_players
    assert (plain.ddd_after[mine] < 90).mean() > 0.25 and (practice.ddd_after[mine] >= 90).mean() > 0.97
    raised = mine & (practice.ddd_after > plain.ddd_after)
    assert (practice.ddd_after[raised] < 90 + 2 * practice.pack_ddd[c]).mean() > 0.9
    found = audit_of(practice, WIDE).findings
    assert set(found["test"]) == {"bunching"} and set(found["condition"]) == {"astma"}
    assert set(found["centre_id"]) <= set(players) and found["centre_id"].nunique() >= 3


def test_newcomers_do_not_look_new(tables):
    practice = read_practice(HalfYear.from_frames(**tables), WIDE)
    funnels = audit_of(practice, WIDE).funnels
    assert 0 < (~practice.known_before).sum() < len(practice.centre) / 5
    assert funnels["change"].out_of.sum(axis=0).max() < practice.known_before.sum()
    new = funnels["change"].observed[:, 0].sum()
    known = practice.known_before[practice.person]
    assert new == ((practice.group == 0) & practice.after & ~practice.before & known).sum()


def test_short_data_leave_bunching_out(tables):
    import pyarrow.compute as pc

    rows = tables["dispensings"]
    late = rows.filter(pc.greater_equal(rows["date"], date(2025, 7, 1)))
    found = audit(HalfYear.from_frames(**{**tables, "dispensings": late}), WIDE)
    assert "bunching" not in found.tests
    assert found.results()["tests_left_out"] == ["bunching"]
    page = render_audit(found, "en")
    assert "two windows of 6 months" in page
    assert "Left out for lack of data: just above the limit" in page


def test_effort_0_changes_nothing_and_more_effort_reaches_more(tables, players, packs):
    assert packs(tables, players, 0.0) is tables
    rows = [packs(tables, players, effort)["dispensings"].num_rows - tables["dispensings"].num_rows
            for effort in (0.1, 0.2)]
    assert 0 < rows[0] < rows[1]
    added = packs(tables, players, 0.2)["dispensings"].slice(tables["dispensings"].num_rows).to_pandas()
    assert set(added["prescriber_centre_id"]) <= set(players)
    assert added["atc"].map(WIDE["lipid"].matches).all()
    assert added["person_id"].is_unique


def test_power_grows_with_effort(tables, packs):
    curve = power_curve(tables, packs, ["lipid"], (0.0, 0.02, 0.4), WIDE).to_frame().set_index("effort")
    assert curve.loc[0.0, "cells_found"] == 0
    assert curve.loc[0.02, "power"] < 0.5 < curve.loc[0.4, "power"]
    assert curve["cells_false"].sum() == 0


def test_the_page_tells_the_committed_power():
    """Written by ``python benchmarks/detection.py``: ten draws and more, and each act is found by its own test."""
    project = Path(__file__).resolve().parents[2]
    table = pd.read_csv(project / "simulations" / "detection.power.csv")
    page = (project / "docs" / "manipulation.md").read_text(encoding="utf-8")
    assert table["draws"].min() >= 10
    for row in table.dropna(subset=["power"]).itertuples():
        named = f"{100 * row.power:.0f} ({100 * row.power_se:.0f})"
        assert f"| {row.act}, {row.condition} | {row.effort:g} | {named} |" in page
    best = table.sort_values("effort").groupby("act").last()
    assert best.loc["starter pack", "by_stopping"] > 0.9 < best.loc["whole series", "by_change"]
    assert best.loc["top-up", "by_bunching"] == best.loc["top-up", "power"] > 0.5


def test_sensitivity_says_what_would_be_named(untouched):
    seen = untouched.sensitivity().set_index(["test", "condition"])
    row = seen.loc[("change", "hypertoni")]
    assert row["detectable_excess"] > row["expected"] ** 0.5
    assert row["sek_hidden"] == pytest.approx(row["detectable_excess"] * pricing().first_add_on("hypertoni") * 12)
    assert {t for t, _ in seen.index} == set(TESTS)


def test_files_are_written_and_deterministic(played, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths = write_audit(played, tmp_path / folder)
    assert [p.name for p in paths] == ["audit.csv", "audit.json", "audit.sv.html", "audit.en.html"]
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    page = (tmp_path / "a" / "audit.sv.html").read_text()
    assert played.findings["name"][0] in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert not re.search(r"\bnan\b", page.lower())


def test_the_texts_have_the_same_keys():
    from lakemedelsmodell.report.texts import texts_of

    sv, en = texts_of("audit", "sv"), texts_of("audit", "en")
    assert list(sv) == list(en)
    for key in sv:
        fields = [sorted(part.split("}")[0] for part in str(t[key]).split("{")[1:]) for t in (sv, en)]
        assert fields[0] == fields[1], key
