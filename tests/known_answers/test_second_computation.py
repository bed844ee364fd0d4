"""The headline reckoned a second time: docs/method.md read in plain pandas, from the data folder of a run alone.

Of the package nothing is used but the run, the files its commands write and the facts it ships. Where the two differ,
one of them misreads the method.
"""

import json
from fractions import Fraction
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

ALPHA = Fraction(7, 10)  # the centre's share of cost in 2026
FIT, PAID = [f"2025-{m:02d}" for m in range(7, 13)], [f"2026-{m:02d}" for m in range(1, 7)]
LOOKBACK = {"fit": ("2024-07-01", "2025-07-01"), "paid": ("2025-01-01", "2026-01-01")}
CELLS = [(band, sex) for band in range(0, 101, 5) for sex in "KM"]
FACTS = resources.files("lakemedelsmodell.facts")
MARKERS = pd.read_csv(FACTS / "markers.csv").set_index("condition")
GROUPS = pd.read_csv(FACTS / "drug_groups.csv").set_index("drug_group")[["atc_include", "atc_exclude"]].fillna("")
SUBSTANCES = pd.read_csv(FACTS / "substances.csv")
CONDITIONS = list(MARKERS.index)
MODELS = {"age_sex": [], "age_sex_pool_10k": [], "chronic": CONDITIONS}


def months_listed(data: dict[str, pd.DataFrame], months: list[str]) -> pd.DataFrame:
    """One row per person and month: the centre that lists her on the 1st, and her age band that day."""
    found = []
    for month in months:
        day = pd.Timestamp(f"{month}-01")
        on = data["listings"][(data["listings"].start_date <= day) & ~(data["listings"].end_date <= day)]
        on = on[["person_id", "centre_id"]].merge(data["persons"], on="person_id")
        born = pd.to_datetime(on.birth_month)
        age = (12 * (day.year - born.dt.year) + day.month - born.dt.month) // 12
        on = on.assign(month=month, band=(age // 5 * 5).clip(upper=100))
        found.append(on[(born <= day) & ~(on.death_date <= day)])
    return pd.concat(found)


def holders(bought: pd.DataFrame, window: tuple[str, str], rule: str) -> dict[str, set[int]]:
    """Who holds which condition by what was dispensed in [from, to)."""
    rows = bought[(bought.date >= window[0]) & (bought.date < window[1])].groupby(["person_id", "atc", "date"])
    rows = rows.agg({"packages": "sum", "milli_ddd": "sum", "dose_dispensed": "min"}).reset_index()
    roll = ["person_id", "atc", "dose_dispensed", rows.date.dt.to_period("M")]
    rows["date"] = rows.date.where(~rows.dose_dispensed, rows[rows.packages > 0].groupby(roll).date.transform("min"))
    outside = tuple(SUBSTANCES.atc[~SUBSTANCES.in_base]) if rule == "listed" else ()
    found = {}
    for name, (include, exclude) in GROUPS.loc[CONDITIONS].iterrows():
        wanted, unwanted = tuple(include.split()), tuple(exclude.split()) + outside
        mine = rows[[a.startswith(wanted) and not (unwanted and a.startswith(unwanted)) for a in rows.atc]]
        dates = mine[mine.packages > 0].groupby("person_id").date.agg(["nunique", "min", "max"])
        if rule == "listed":
            asks, ddd = MARKERS.loc[name], mine.groupby("person_id").milli_ddd.sum().reindex(dates.index)
            dates = dates[(dates["nunique"] >= asks.min_dates) & (ddd >= 1000 * asks.min_ddd)
                          & ((dates["max"] - dates["min"]).dt.days >= asks.min_days_apart)]
        found[name] = set(dates.index)
    for name, dearer in MARKERS.yields_to.dropna().items():
        found[name] = found[name] - found[dearer]
    return found


def cohort(data: dict[str, pd.DataFrame], months: list[str], held: dict[str, set[int]]) -> pd.DataFrame:
    """One row per person, centre and age band: listed months, öre of base drugs in them, conditions."""
    bought = data["dispensings"][data["dispensings"].in_base]
    cost = bought.groupby(["person_id", bought.date.dt.strftime("%Y-%m").rename("month")]).ore.sum().reset_index()
    listed = months_listed(data, months).merge(cost, how="left", on=["person_id", "month"]).fillna({"ore": 0})
    rows = listed.groupby(["person_id", "centre_id", "band", "sex"]).agg(months=("month", "size"), ore=("ore", "sum"))
    rows = rows.reset_index().astype({"ore": int})
    return rows.assign(**{name: rows.person_id.isin(who) for name, who in held.items()})


def design(rows: pd.DataFrame, conditions: list[str]) -> np.ndarray:
    cells = [(rows.band == band) & (rows.sex == sex) for band, sex in CELLS]
    return np.column_stack([*cells, *(rows[name] for name in conditions)]).astype(float)


def amounts(rows: pd.DataFrame, conditions: list[str], cost: pd.Series) -> np.ndarray:
    """α times exposure-weighted least squares of cost per month, add-ons at least 0; none set by fewer than five."""
    X, n = design(rows, conditions), len(CELLS)
    XX, Xy, beta = X.T @ (X * rows.months.to_numpy()[:, None]), X.T @ cost.to_numpy(), np.zeros(X.shape[1])
    held = np.flatnonzero(XX.diagonal())
    root = np.linalg.cholesky(XX[np.ix_(held, held)])
    least = np.where(held < n, -np.inf, 0)
    beta[held] = lsq_linear(root.T, np.linalg.solve(root, Xy[held]), (least, np.inf), method="bvls", tol=1e-14).x
    enough = np.array([rows.person_id[column > 0].nunique() >= 5 for column in X.T])
    for few in np.flatnonzero(~enough):  # ages as the nearest band of the same sex, the younger of two
        like = [c for c in np.flatnonzero(enough[:n]) if c % 2 == few % 2]
        beta[few] = beta[min(like, key=lambda c: (abs(c - few), c))] if few < n else 0  # noqa: B023 - used at once
    return float(ALPHA) * beta


def whole(sek: np.ndarray) -> np.ndarray:
    return np.sign(sek) * np.floor(abs(sek) + 0.5)


def above(rows: pd.DataFrame, threshold: int) -> pd.Series:
    """SEK of each person's cost in the half-year above the threshold, shared out pro rata to cost."""
    total = rows.groupby("person_id").ore.transform("sum")
    return (total - 100 * threshold).clip(lower=0) / 100 * (rows.ore / total.where(total > 0)).fillna(0)


def settled(rows: pd.DataFrame, conditions: list[str], kronor: np.ndarray) -> tuple[float, pd.Series]:
    """φ, and öre per centre by largest remainder: Σ = α × the paid period's cost."""
    unscaled = pd.Series(design(rows, conditions) @ kronor * rows.months).groupby(rows.centre_id).sum()
    budget = round(ALPHA * int(rows.ore.sum()))
    total = sum(map(Fraction, unscaled))
    exact = [budget * Fraction(sek) / total for sek in unscaled]
    ore = pd.Series([share // 1 for share in exact], unscaled.index)
    short = sorted(range(len(exact)), key=lambda k: ore.iloc[k] - exact[k])[:budget - int(ore.sum())]
    ore.iloc[short] += 1
    return budget / 100 / unscaled.sum(), ore


@pytest.fixture(scope="module")
def run(tiny_run) -> dict:
    data = {}
    for name in ("persons", "listings", "dispensings"):
        table = pd.read_parquet(tiny_run / "data" / f"{name}.parquet")
        data[name] = table.assign(**{c: pd.to_datetime(table[c]) for c in table if c.endswith("date")})
    bought = data["dispensings"]
    data["dispensings"] = bought = bought.assign(
        atc=bought.atc.astype(str), ore=(100 * bought.cost).round().astype(int),
        milli_ddd=(1000 * bought.ddd).round().astype(int))
    held = {rule: {of: holders(bought, window, rule) for of, window in LOOKBACK.items()}
            for rule in ("dispensed", "listed")}
    rows = {of: cohort(data, months, held["dispensed"][of]) for of, months in (("fit", FIT), ("paid", PAID))}
    files = {name: pd.read_csv(tiny_run / f"{name}.csv") for name in ("amounts", "centres")}
    results = json.loads((tiny_run / "results.json").read_text())
    return rows | files | {"folder": tiny_run, "data": data, "held": held, "results": results}


def published(run: dict, model: str) -> np.ndarray:
    table = run["amounts"][run["amounts"].model == model]
    cells = table[table.kind == "age_sex"].set_index(["age_from", "sex"]).sek_per_month[CELLS]
    add_ons = table[table.kind == "condition"].set_index("name").sek_per_month.reindex(MODELS[model]).fillna(0)
    return np.concatenate([cells, add_ons])


def test_persons_months_cost_budget_and_who_holds_what(run):
    totals, paid = run["results"]["totals"], run["paid"]
    assert (totals["persons"], totals["listed_months"]) == (paid.person_id.nunique(), paid.months.sum())
    ore = int(paid.ore.sum())
    assert [round(100 * totals[key]) for key in ("cost_sek", "budget_sek")] == [ore, round(ALPHA * ore)]
    for condition in run["results"]["conditions"]:
        persons = paid.person_id[paid[condition["name"]]].nunique()
        assert condition["persons"] == (persons if persons >= 5 else None), condition["name"]


@pytest.mark.parametrize("rule", ["dispensed", "listed"])
def test_everybodys_conditions(run, command, tmp_path, rule: str):
    done = command("flags", run["folder"] / "data", "--conditions", "skane_wide", "--rule", rule, "--out",
                   tmp_path / "flags.parquet")
    assert done.returncode == 0, done.stderr
    theirs = pd.read_parquet(tmp_path / "flags.parquet").set_index("person_id")
    mine = {name: theirs.index.isin(who) for name, who in run["held"][rule]["paid"].items()}
    pd.testing.assert_frame_equal(theirs[CONDITIONS], pd.DataFrame(mine, theirs.index))
    assert theirs[CONDITIONS].to_numpy().sum() > 500


@pytest.mark.parametrize("model", ["age_sex", "chronic"])
def test_amounts_payments_nets_fit_and_spread(run, model: str):
    fit, paid, columns, found = run["fit"], run["paid"], MODELS[model], run["results"]["models"][model]
    sek = amounts(fit, columns, fit.ore / 100)
    assert (whole(sek) == published(run, model)).all()
    phi, ore = settled(paid, columns, whole(sek))
    theirs = run["centres"][run["centres"].model == model].set_index("centre_id")
    assert found["phi"] == pytest.approx(phi, rel=1e-12)
    assert ((100 * theirs.reimbursement_sek).round().astype(int) == ore).all()
    by_centre = paid.groupby("centre_id")[["months", "ore"]].sum()
    net = (ore - float(ALPHA) * by_centre.ore) / 100 / by_centre.months
    assert theirs.net_sek_per_listed_month.to_numpy() == pytest.approx(net.to_numpy(), rel=1e-9, abs=1e-9)
    mean, K = np.average(net, weights=by_centre.months), len(net)
    spread = {"sd": net.std(ddof=1), "p90_p10": np.percentile(net, 90) - np.percentile(net, 10),
              "weighted_sd": np.sqrt(np.average((net - mean) ** 2, weights=by_centre.months) * K / (K - 1))}
    assert {name: found["spread"][name] for name in spread} == pytest.approx(spread, rel=1e-9)
    rate, expected = paid.ore / 100 / paid.months, design(paid, columns) @ sek / float(ALPHA)
    left, all_of_it = (np.sum(paid.months * (rate - guess) ** 2)
                       for guess in (expected, np.average(rate, weights=paid.months)))
    assert found["fit"]["r2"] == pytest.approx(1 - left / all_of_it, rel=1e-9)


def test_a_pool_pays_what_a_person_costs_above_the_threshold_and_phi_scales_the_rest(run):
    fit, paid = run["fit"], run["paid"]
    kronor = whole(amounts(fit, [], fit.ore / 100 - above(fit, 10_000)))
    assert (kronor == published(run, "age_sex_pool_10k")).all()
    left = round(ALPHA * int(paid.ore.sum())) / 100 - float(ALPHA) * above(paid, 10_000).sum()
    phi = left / (design(paid, []) @ kronor @ paid.months)
    assert run["results"]["models"]["age_sex_pool_10k"]["phi"] == pytest.approx(phi, rel=1e-9)


def test_a_month_is_paid_by_the_table_as_it_stands(run, command, tmp_path):
    done = command("pay", run["folder"] / "amounts.csv", run["folder"] / "data", "--model", "chronic",
                   "--month", "2026-03", "--out", tmp_path / "march")
    assert done.returncode == 0, done.stderr
    march = cohort(run["data"], ["2026-03"], run["held"]["dispensed"]["paid"])
    ore = (100 * design(march, CONDITIONS) @ published(run, "chronic")).round().astype(int)
    paid = pd.read_csv(tmp_path / "march" / "payments.csv").set_index("centre_id").payment_ore
    assert (paid == pd.Series(ore).groupby(march.centre_id).sum()).all()
