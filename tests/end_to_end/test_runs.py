"""The main job: a run folder from a simulated world, and the same numbers from its files."""

import csv
import json
import re
import shutil

import pandas as pd
import pytest


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


TRUTH = {"excess_sd", "pass_through", "pass_through_low", "pass_through_high", "rmse_to_ideal", "pass_through_change",
         "pass_through_change_low", "pass_through_change_high", "truth", "verdict", "oracle", "run"}


def without_truth(found):
    """Results less what only the simulator can tell, and less the run's own name."""
    if isinstance(found, dict):
        return {key: without_truth(value) for key, value in found.items() if key not in TRUTH}
    return [without_truth(value) for value in found] if isinstance(found, list) else found


def test_what_only_a_truth_can_tell_is_told_of_a_simulation(tiny_run):
    found = results(tiny_run)
    assert found["truth"]["noise_floor"] > 0 < found["truth"]["ideal_sd"]
    for model in found["models"].values():
        assert None not in [model[name] for name in TRUTH & model.keys()]
    assert found["models"]["oracle"]["excess_sd"] == 0
    assert not found["models"]["oracle"]["payable"]
    clauses = {clause["name"]: clause for clause in found["verdict"]["clauses"]}
    assert clauses["pass_through"]["number"] == found["contrasts"][0]["pass_through_change"]
    assert clauses["manipulation"]["holds"] is None


def test_a_simulation_writes_the_whole_run_folder(tiny_run):
    names = {p.name for p in tiny_run.iterdir()}
    assert names >= {"results.json", "centres.csv", "amounts.csv", "manifest.json", "calibration.json", "data", "truth",
                     "contributions.csv", "report.sv.html", "report.en.html"}  # fmt: skip
    found = results(tiny_run)
    assert found["schema"] == 1
    assert found["totals"]["centres"] == 12
    assert list(found["models"]) == [
        "flat", "age_sex_published", "age_sex", "chronic", "chronic_defended", "chronic_newcomers",
        "chronic_nonnegative", "age_sex_cni", "age_sex_pool_10k", "age_sex_pool", "age_sex_pool_50k", "chronic_pool",
        "highest_only", "count", "constrained", "credibility", "boosting", "last_cost", "oracle"]  # fmt: skip
    assert (found["contrasts"][0]["model"], found["contrasts"][0]["against"]) == ("chronic", "age_sex")


def test_what_files_of_ones_own_cannot_tell_is_null(command, region, tmp_path):
    five_of_each(region)
    done = command("evaluate", region, "--out", tmp_path / "run", "--no-report")
    assert done.returncode == 0, done.stderr
    for model in results(tmp_path / "run")["models"].values():
        for name in TRUTH & model.keys():
            assert model[name] is None


def test_centres_are_paid_the_budget_to_the_ore(tiny_run):
    budget = round(results(tiny_run)["totals"]["budget_sek"] * 100)
    paid: dict[str, int] = {}
    few = set()
    for row in rows(tiny_run / "centres.csv"):
        if row["reimbursement_sek"]:
            paid[row["model"]] = paid.get(row["model"], 0) + round(float(row["reimbursement_sek"]) * 100)
        else:
            few.add(row["model"])
    models = results(tiny_run)["models"]
    assert set(paid) == set(models)
    assert few <= {name for name, model in models.items() if any(a["kind"] == "pool" for a in model["amounts"])}
    assert {paid[model] for model in paid.keys() - few} == {budget}
    assert all(paid[model] < budget for model in few), "a pool that pays for fewer than five persons is not told of"


def test_net_is_what_comes_in_less_own_cost(tiny_run):
    alpha = results(tiny_run)["totals"]["cost_responsibility"]
    for row in rows(tiny_run / "centres.csv"):
        if not row["reimbursement_sek"]:
            continue
        value = {k: float(v) for k, v in row.items() if "_sek" in k or k == "listed_months"}
        assert value["own_cost_sek"] == pytest.approx(alpha * value["cost_sek"], abs=0.01)
        assert value["net_sek"] == pytest.approx(value["reimbursement_sek"] - value["own_cost_sek"], abs=0.01)
        assert value["net_sek_per_listed_month"] == pytest.approx(value["net_sek"] / value["listed_months"], abs=1e-6)


def test_reports_stand_on_their_own(tiny_run):
    for lang in ("sv", "en"):
        html = (tiny_run / f"report.{lang}.html").read_text(encoding="utf-8")
        assert f'lang="{lang}"' in html
        assert not re.search(r'(src|href)="https?:', html)
        assert "<svg" in html


def test_the_same_numbers_from_the_files_of_a_simulation(command, tiny_run, tmp_path):
    done = command("evaluate", tiny_run / "data", "--out", "again", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, again = results(tiny_run), results(tmp_path / "again")
    assert without_truth(again) == without_truth(first)
    assert again["run"]["content_hash"] == first["run"]["content_hash"]
    for name in ("amounts.csv", "contributions.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny_run / name).read_bytes()
    assert rows(tmp_path / "again" / "centres.csv") == [
        row for row in rows(tiny_run / "centres.csv") if row["model"] != "oracle"]  # fmt: skip
    assert not list((tmp_path / "again").glob("*.html"))


def test_the_same_call_gives_the_same_bytes_anywhere(command, tiny_run, tmp_path):
    done = command("simulate", "skane_2026h1", "--scale", "0.02", "--centres", "12", "--lang", "sv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "runs" / "skane_2026h1"
    for name in ("results.json", "centres.csv", "amounts.csv", "calibration.json", "report.sv.html"):
        assert (again / name).read_bytes() == (tiny_run / name).read_bytes(), name
    assert not (again / "report.en.html").exists()


def test_the_summary_says_the_contrast_and_where_the_report_lies(command, tiny_run, tmp_path):
    out = tmp_path / "run"
    arguments = ("simulate", "--scale", "0.01", "--centres", "12", "--lang", "en", "--out", out)
    first, second = command(*arguments, "--seed", 1), command(*arguments, "--seed", 2)
    for done in (first, second):
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "chronic against age_sex: the spread (SD) is" in done.stdout
        assert f"Report: {out / 'report.en.html'}" in done.stdout
    assert first.stdout.splitlines()[3:] != second.stdout.splitlines()[3:], "the run was replaced by another seed's"
    assert results(out)["run"]["seed"] == 2


def test_a_run_never_replaces_its_own_input(command, tiny_run):
    done = command("evaluate", tiny_run / "data", "--out", tiny_run)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert (tiny_run / "results.json").is_file()


def test_another_period_and_other_settings(command, tiny_run, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('months = "days"\nbudget = 1000000\ncondition_set = "skane_narrow"\nresamples = 200\n')
    done = command("evaluate", tiny_run, "--period", "2026-01..2026-02", "--settings", settings, "--no-report",
                   "--out", tmp_path / "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")
    assert found["period"]["label"] == "2026-01..2026-02"
    assert found["totals"]["budget_sek"] == 1_000_000
    assert found["settings"]["months"] == "days"
    names = {a["name"] for a in found["models"]["chronic"]["amounts"] if a["kind"] == "condition"}
    assert "doak" in names
    assert "hypertoni" not in names


def test_a_wrong_setting_is_named(command, tiny_run, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('month = "days"\n')
    done = command("evaluate", tiny_run, "--settings", settings, "--out", tmp_path / "run")
    assert done.returncode in (1, 2)
    assert "settings.toml" in done.stderr
    assert "months" in done.stderr
    assert not (tmp_path / "run").exists()


def five_of_each(region):
    """Five persons for each of the region's three."""
    for name in ("persons", "listings", "dispensings"):
        head, *lines = (region / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        (region / f"{name}.csv").write_text("\n".join([head, *(f"{i}{line}" for i in range(5) for line in lines)]))


def test_of_three_people_nothing_is_shown(command, region, tmp_path):
    done = command("evaluate", region, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "only 3 are listed" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_region_of_fifteen_people_can_be_evaluated(command, region, tmp_path):
    five_of_each(region)
    done = command("evaluate", region, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")
    assert found["totals"]["persons"] == 15
    assert found["totals"]["listed_months"] == 5 * 18
    assert found["totals"]["cost_sek"] == 5 * 6 * (40 + 55.5 + 80)
    # the mover is at A on 1 January only
    assert {r["centre_id"]: float(r["listed_months"]) for r in rows(tmp_path / "run" / "centres.csv")} == {
        "A": 35,
        "B": 55,
    }


def test_check_says_what_was_found(command, tiny_run, region):
    for folder in (tiny_run / "data", tiny_run, region):
        done = command("check", folder)
        assert done.returncode == 0, done.stderr
        assert "can be read" in done.stdout
    assert "every row counts" in done.stdout


def test_derived_table_counts_its_equal_cells(command, tiny_run):
    done = command("table", "--derive", tiny_run / "data")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"equal cells: \d+ of 42", lines[-1])
    assert sum(line.endswith(" =") for line in lines) == int(lines[-1].split()[2])


def test_flags_are_there_for_everyone(command, tiny_run, tmp_path):
    persons = pd.read_parquet(tiny_run / "data" / "persons.parquet")
    frames = {}
    for name, rule in (("dispensed.csv", "dispensed"), ("listed.parquet", "listed")):
        done = command("flags", tiny_run / "data", "--conditions", "skane_wide", "--rule", rule, "--from", "2025-01-01",
                       "--to", "2026-01-01", "--out", tmp_path / name)  # fmt: skip
        assert done.returncode == 0, done.stderr
        read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
        frames[rule] = read(tmp_path / name)
    for frame in frames.values():
        assert sorted(frame["person_id"]) == sorted(persons["person_id"])
        assert set(map(str, frame.dtypes.iloc[1:])) == {"bool"}
        assert len(frame.columns) == 22
    assert (frames["listed"]["doak"] <= frames["dispensed"]["doak"]).all()
    assert frames["dispensed"]["doak"].any()


def test_flags_from_a_list_of_ones_own(command, region, tmp_path):
    (tmp_path / "own.csv").write_text("condition,atc,min_dates\nbeta,C07,13\nsugar,A10,12\n")
    calls = ("flags", region, "--conditions", tmp_path / "own.csv", "--from", "2025-01-01", "--to", "2026-01-01")
    assert command(*calls, "--out", tmp_path / "a.csv").returncode == 0
    assert command(*calls, "--out", tmp_path / "b.csv", "--rule", "dispensed").returncode == 0
    listed, dispensed = (pd.read_csv(tmp_path / name).set_index("person_id") for name in ("a.csv", "b.csv"))
    assert listed.to_dict("list") == {"beta": [False] * 3, "sugar": [False, True, False]}
    assert dispensed.to_dict("list") == {"beta": [True, False, False], "sugar": [False, True, False]}


def test_a_reduced_table_is_evaluated_out_of_fold(command, tmp_path):
    lines = ["person_id,centre_id,age,sex,months,cost,flag_sick"]
    for i in range(192):  # being sick is balanced over age, sex and centre
        sick, sex, age = i % 4 == 0, "KM"[i // 4 % 2], 20 + 10 * (i // 8 % 3)
        lines.append(f"{i},{'ABCD'[i // 48]},{age},{sex},6,{600 * sick + i % 7 * 10},{str(sick).lower()}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    done = command("evaluate", "--cohort", tmp_path / "cohort.csv", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    models = results(tmp_path / "run")["models"]
    assert list(models) == ["flat", "age_sex", "chronic"]
    assert models["chronic"]["fit"]["r2"] > 0.9 > 0.1 > models["age_sex"]["fit"]["r2"]
    assert (tmp_path / "run" / "report.en.html").is_file()


def test_explain_adds_up_named_parts(command, tiny_run):
    arguments = ("explain", "--age", 60, "--sex", "M", "--condition", "doak", "--condition", "diabetes_oral",
                 "--amounts", tiny_run / "amounts.csv")  # fmt: skip
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    head, *parts, total = (re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()[:5])
    assert head[1] == "age_sex_published"
    assert [part[0] for part in parts] == [
        "Man, 60–64 years",
        "Diabetes – metformin, SU, DPP-4",
        "Anticoagulation – DOAC",
    ]
    assert int(total[1]) == int(parts[0][1]) == 121, "the region's table for 2026, men of 60"
    paid = {
        (r["model"], r["name"]): r["sek_per_month"] for r in rows(tiny_run / "amounts.csv") if r["sex"] in ("", "M")
    }
    for at, model in enumerate(head[1:], 1):
        of_model = [paid[model, "60-64"], *(paid[model, n] for n in ("diabetes_oral", "doak") if (model, n) in paid)]
        assert float(total[at].replace(",", "")) == sum(float(sek or 0) for sek in of_model)
    swedish = command(*arguments, "--lang", "sv", "--model", "chronic").stdout.splitlines()
    assert re.split(r"\s{2,}", swedish[0]) == ["kr per listad månad", "age_sex_published", "chronic"]
    assert swedish[1].startswith("Man, 60–64 år")


def test_a_condition_gives_way_to_the_one_above_it(command, tiny_run):
    def total(*names: str) -> str:
        held = [part for name in names for part in ("--condition", name)]
        done = command("explain", "--age", 70, "--sex", "K", *held, "--amounts", tiny_run / "amounts.csv")
        return next(line for line in done.stdout.splitlines() if line.startswith("Total"))

    assert total("astma", "kol") == total("kol")


def test_months_that_lack_dispensings_are_warned_of_and_nothing_beside_is_asked_of_them(command, tiny_run, tmp_path):
    shutil.copytree(tiny_run / "data", tmp_path / "late")
    bought = pd.read_parquet(tmp_path / "late" / "dispensings.parquet")
    month = bought["date"].astype("datetime64[s]").dt.strftime("%Y-%m")
    bought[(month >= "2026-03") & (month != "2026-05")].to_parquet(tmp_path / "late" / "dispensings.parquet")
    checked = command("check", "late", cwd=tmp_path)
    assert "2026-01..2026-06, which is not complete" in checked.stdout
    assert "Note: No dispensings at all in 2026-05" in checked.stdout
    done = command("evaluate", "late", "--out", "out", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "out")
    assert {"partial_period", "missing_months"} <= {warning["kind"] for warning in found["warning_kinds"]}
    assert found["beside"] == []
