"""A made-up run folder in the form of results.json schema 1, to lay the report out before any run exists.

python tests/fake_run.py FOLDER [simulation|files|cohort] [for|against|undecided|nulls] [CENTRES]
"""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

PLACES = """
Arlöv Bara Bjuv Bjärnum Broby Bromölla Båstad Dalby Degeberga Eslöv Fosie Förslöv Glumslöv Hörby Höör
Hässleholm Höganäs Höllviken Kivik Klippan Knislinge Kävlinge Laröd Lomma Löddeköpinge Munka-Ljungby
Näsby Osby Perstorp Råå Simrishamn Sjöbo Skanör Skurup Sorgenfri Staffanstorp Svalöv Svedala Tomelilla
Trelleborg Tågaborg Vellinge Vinslöv Ystad Åhus Åstorp Ängelholm Ödåkra Örkelljunga
""".split()
KINDS = ("Vårdcentralen", "Läkargruppen", "Hälsocentralen", "Husläkarna i")
NASTY = "<script>alert('å')</script> & $Söner$"

# name, svenska, English, theme, ATC, persons, add-on, add-on under the strict rule, price of the cheapest pack
CONTENT_HASH = "9f2c4be7a1d35586" * 4
CONDITIONS = [
    ("diabetes_insulin", "Diabetes – insulin", "Diabetes – insulin", "diabetes", ["A10A"], 30570, 262, 270, 310),
    (
        "diabetes_oral",
        "Diabetes – metformin m.fl.",
        "Diabetes – metformin etc.",
        "diabetes",
        ["A10BA", "A10BB", "A10BH"],
        60720,
        38,
        41,
        52,
    ),
    ("diabetes_glp1", "Diabetes – GLP-1", "Diabetes – GLP-1", "diabetes", ["A10BJ"], 19390, 498, 512, 1130),
    ("sglt2", "SGLT2-hämmare", "SGLT2 inhibitors", "diabetes", ["A10BK"], 40500, 208, 214, 392),
    (
        "doak",
        "Antikoagulantia – DOAK",
        "Anticoagulation – DOAC",
        "anticoagulation",
        ["B01AF", "B01AE07"],
        48790,
        341,
        352,
        640,
    ),
    (
        "warfarin_heparin",
        "Antikoagulantia – warfarin, heparin",
        "Anticoagulation – warfarin, heparin",
        "anticoagulation",
        ["B01AA", "B01AB"],
        5610,
        61,
        74,
        98,
    ),
    (
        "ihd_antiplatelet",
        "Ischemisk hjärtsjukdom",
        "Ischaemic heart disease",
        "cardiovascular",
        ["B01AC", "C01D"],
        57930,
        12,
        12,
        34,
    ),
    (
        "hypertoni",
        "Högt blodtryck",
        "Hypertension",
        "cardiovascular",
        ["C02", "C03A", "C07", "C08", "C09"],
        304610,
        14,
        15,
        28,
    ),
    ("mra", "MRA", "MRA", "cardiovascular", ["C03DA"], 18780, 16, 17, 61),
    ("arni", "Hjärtsvikt – ARNI", "Heart failure – ARNI", "cardiovascular", ["C09DX04"], 3940, 601, 622, 1340),
    ("lipid", "Blodfettsänkande", "Lipid-lowering", "cardiovascular", ["C10A", "C10B"], 162510, 9, 9, 31),
    ("astma", "Astma", "Asthma", "other", ["R03AC", "R03AK", "R03BA"], 103940, 58, 88, 45),
    ("kol", "KOL", "COPD", "other", ["R03BB", "R03AL"], 22670, 214, 228, 331),
    ("psykos_bipolar", "Psykos, bipolär sjukdom", "Psychosis, bipolar disorder", "other", ["N05A"], 23910, 71, 92, 58),
    ("demens", "Demens", "Dementia", "other", ["N06D"], 8450, 22, 24, 71),
    ("epilepsi", "Epilepsi", "Epilepsy", "other", ["N03A"], 14590, 86, 91, 66),
    ("parkinson", "Parkinson", "Parkinson's disease", "other", ["N04B"], 6690, 121, 166, 49),
    ("osteoporos", "Osteoporos", "Osteoporosis", "other", ["M05B"], 15730, 74, 80, 41),
    (
        "inflammatorisk",
        "Inflammatorisk sjukdom",
        "Inflammatory disease",
        "inflammatory",
        ["A07EC", "L04AX01", "L04AX03"],
        19590,
        62,
        70,
        96,
    ),
    ("cancer_hormon", "Cancer – hormonell", "Cancer – hormonal", "cancer", ["L02"], 12480, 151, 158, 210),
    ("glaukom", "Glaukom", "Glaucoma", "other", ["S01E"], 3, 64, 66, 77),
]
# persons, and payment less own cost per listed month under today's model
OUTSIDE = {
    "drugs:5+": (216217, -169.7),
    "dose_dispensed:yes": (28713, -287.1),
    "conditions:0": (951387, 28.2),
    "conditions:1": (248562, 41.8),
    "conditions:4+": (73882, -439.6),
    "prior_cost:none": (910014, 46.3),
    "prior_cost:10": (142829, -392.8),
    "prior_cost:unknown": (4762, 19.0),
    "history:short": (58064, 0.3),
    "moved:yes": (111929, 0.1),
    "movers": (10156, -1.2),
    "part_of_period": (3, 0),
    "cni:most_deprived_fifth": (292492, -9.8),
    "operator:public": (673833, 1.2),
    "operator:private": (763665, -1.1),
    "rural:yes": (244907, -0.1),
    "rural:no": (1190323, 0.0),
    "list_size:1": (180541, 1.2),
}
MODELS = ("flat", "age_sex_published", "age_sex", "chronic", "chronic_defended")


def _cells(level: float, steep: float) -> list[tuple[str, int, float]]:
    return [
        (
            sex,
            age,
            round(
                18 + level * (1 / (1 + math.exp(-(age - 58) / steep)) - (0.1 if age >= 95 else 0)) + (age > 40) * k * 9
            ),
        )
        for age in range(0, 101, 5)
        for k, sex in enumerate("KM")
    ]


def make(folder: Path, kind: str = "simulation", verdict: str = "for", centres: int = 180) -> Path:
    """Write a fake run folder and return it. ``verdict`` may also be ``nulls``: everything optional is null."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    cohort, nulls = kind == "cohort", verdict == "nulls" or centres < 2
    models = [m for m in MODELS if not cohort or m in ("flat", "age_sex", "chronic")]
    shrink = {"for": 0.74, "against": 1.17, "undecided": 0.985, "nulls": 0.9}[verdict]
    months = np.round(rng.lognormal(np.log(7200), 0.45, centres)) * 6
    need, own = rng.normal(0, 6.4, centres), rng.normal(0, 1.6, centres)
    scale = {"flat": 2.3, "age_sex_published": 1.06, "age_sex": 1, "chronic": shrink, "chronic_defended": shrink * 1.03}
    nets = {m: need * scale[m] + own for m in models}
    cost = months * rng.normal(108, 12, centres)
    names = [
        f"{KINDS[i % 4]} {PLACES[i % len(PLACES)]}{'' if i < len(PLACES) else ' ' + str(i // len(PLACES) + 1)}"
        for i in range(centres)
    ]
    if centres > 2:
        names[2] = NASTY
        months[-1] = 12  # two persons: must not be shown

    with (folder / "centres.csv").open("w", newline="", encoding="utf-8") as out:
        w = csv.writer(out, lineterminator="\n")
        w.writerow(
            [
                "centre_id",
                "name",
                "model",
                "listed_months",
                "reimbursement_sek",
                "cost_sek",
                "own_cost_sek",
                "net_sek",
                "standard_error",
                "outside_funnel",
                "net_sek_per_listed_month",
            ]
        )
        for m in models:
            for k in range(centres):
                net, paid = nets[m][k] * months[k], 0.7 * cost[k]
                w.writerow(
                    [
                        f"VC{k + 1:03}",
                        names[k],
                        m,
                        months[k],
                        round(net + paid, 2),
                        round(cost[k], 2),
                        round(paid, 2),
                        round(net, 2),
                        9 / math.sqrt(months[k] / 6000),
                        k == 1,
                        nets[m][k],
                    ]
                )

    tables = {
        "flat": (_cells(0, 9), {}),
        "age_sex_published": (_cells(245, 9.5), {}),
        "age_sex": (_cells(251, 9.3), {}),
        "chronic": (_cells(96, 12), {c[0]: c[6] for c in CONDITIONS}),
        "chronic_defended": (_cells(101, 12), {c[0]: c[7] for c in CONDITIONS}),
    }
    amounts = []
    for m in models:
        cells, add_ons = tables[m]
        amounts += [
            (m, "age_sex", ">100" if a == 100 else f"{a:02}-{a + 4:02}", s, a, "" if a == 100 else a + 4, x)
            for s, a, x in cells
        ]
        amounts += [(m, "condition", n, "", "", "", x) for n, x in add_ons.items()]
    with (folder / "amounts.csv").open("w", newline="", encoding="utf-8") as out:
        w = csv.writer(out, lineterminator="\n")
        w.writerow(
            ["model", "kind", "name", "sex", "age_from", "age_to", "sek_per_month", "valid_from", "condition_set"]
        )
        w.writerows([*row, "2026-01-01", "skane_wide" if "chronic" in row[0] else ""] for row in amounts)

    def spread(n: np.ndarray) -> dict[str, Any]:
        if nulls:
            return dict.fromkeys(
                (
                    "sd",
                    "weighted_sd",
                    "mad",
                    "p90_p10",
                    "share_positive",
                    "within_2pct",
                    "within_5pct",
                    "min",
                    "max",
                    "mean_abs",
                )
            )
        sd = float(n.std(ddof=1))
        return {
            "sd": sd,
            "weighted_sd": sd * 0.94,
            "mad": sd * 0.97,
            "p90_p10": float(np.subtract(*np.percentile(n, [90, 10]))),
            "share_positive": float((n > 0).mean()),
            "within_2pct": float((abs(n) <= 1.5).mean()),
            "within_5pct": float((abs(n) <= 3.8).mean()),
            "min": float(n.min()),
            "max": float(n.max()),
            "mean_abs": float(abs(n).mean()),
        }

    def contrast(m: str, against: str, wide: float = 1) -> dict[str, Any]:
        if nulls:
            return {
                "model": m,
                "against": against,
                "log_sd_ratio": None,
                "ci_low": None,
                "ci_high": None,
                "sd_ratio": None,
                "random_list_ratio": None,
                "redistribution_sek": None,
                "centres_changing_sign": None,
                "spearman": None,
            }
        d = math.log(nets[m].std() / nets[against].std())
        half = 0.062 * wide
        return {
            "model": m,
            "against": against,
            "log_sd_ratio": d,
            "ci_low": d - half,
            "ci_high": d + half * 0.9,
            "sd_ratio": math.exp(d),
            "random_list_ratio": 0.918,
            "redistribution_sek": float(abs((nets[m] - nets[against]) * months).sum() / 2),
            "centres_changing_sign": int((nets[m] * nets[against] < 0).sum()),
            "spearman": 0.93,
        }

    fits = {
        "flat": (0, 0, 141.2),
        "age_sex_published": (0.061, 0.141, 118.9),
        "age_sex": (0.0634, 0.1442, 118.1),
        "chronic": (0.2871, 0.3313, 92.4),
        "chronic_defended": (0.2917, 0.3289, 92.9),
    }
    shift = {"for": 1.0, "against": -1.0}.get(verdict, 0.0)

    def told(persons: int, gap: float, half: float = 1.0) -> dict[str, Any]:
        keys = ("ratio", "ci_low", "ci_high", "persons", "under_compensation_sek", "under_ci_low", "under_ci_high")
        if persons < 5:
            return dict.fromkeys(keys)
        ratio = 1 + gap / 75
        values = (ratio, ratio - 0.02, ratio + 0.02, persons, gap, gap - half, gap + half)
        return dict(zip(keys, values, strict=True))

    def chance(n: np.ndarray) -> dict[str, Any]:
        parts = {"noise": 1.44, "lists": 1.0, "true": 2.56}
        return {"noise_floor": 7.5 if verdict == "undecided" else 1.2, "true_sd": 1.6, "reliability": 0.625,
                "spread_parts": [{"part": k, "sd": math.sqrt(v), "variance": v} for k, v in parts.items()]}

    def who(m: str) -> dict[str, Any]:
        """Groups of persons, deciles and public against private under one model."""
        size = 1.0 if "age_sex" in m else 0.25
        return {
            "predictive_ratios": {
                f"condition:{n}": told(next(c[5] for c in CONDITIONS if c[0] == n), 75 * (r[m] - 1))
                for n, r in condition_groups.items()
            }
            | {f"age:{a:02}-{a + 4:02}": told(5000 + a, 0.1 * a - 5) for a in range(0, 100, 5)}
            | {"age:>100": told(3, 0)}
            | {name: told(n, gap * size) for name, (n, gap) in OUTSIDE.items()},
            "calibration": [
                dict.fromkeys(("predicted", "actual", "ratio", "ci_low", "ci_high", "persons")) | {"decile": d}
                if d == 1
                else {"decile": d, "persons": 9000, "predicted": 20.0 * d + size, "actual": 20.0 * d, "ratio": 1.01,
                      "ci_low": 0.98, "ci_high": 1.04}
                for d in range(1, 11)
            ],
            "neutrality": {
                "net": {"difference_sek": shift * (2.5 if "age_sex" in m else -1.25), "ci_low": -1.0, "ci_high": 4.0},
                "change_from_today": {"difference_sek": 3.75 * (shift or 0.1), "ci_low": 3.75 * shift - 2,
                                      "ci_high": 3.75 * shift + 2},
            },
        }

    condition_groups = {
        c[0]: {"age_sex_published": 0.44, "age_sex": 0.46, "chronic": 1.02, "chronic_defended": 0.99, "flat": 0.2}
        for c in CONDITIONS
    }
    results: dict[str, Any] = {
        "schema": 1,
        "run": {
            "versions": {"lakemedelsmodell": "0.1.0", "numpy": "2.3.1", "duckdb": "1.4.0", "python": "3.11.9"},
            "kind": kind,
            "scenario": "skane_2026h1" if kind == "simulation" else None,
            "scenario_title": {"sv": "Skåne, första halvåret 2026", "en": "Skåne, first half of 2026"}
            if kind == "simulation"
            else None,
            "seed": 20260101 if kind == "simulation" else None,
            "scale": (0.05 if verdict == "undecided" else 1.0) if kind == "simulation" else None,
            "content_hash": CONTENT_HASH,
        },
        "period": None
        if cohort or nulls
        else {"start": "2026-01-01", "end": "2026-07-01", "label": "2026-01..2026-06", "partial": False},
        "fit_period": None
        if cohort or nulls
        else {"start": "2025-07-01", "end": "2026-01-01", "label": "2025-07..2025-12"},
        "lookback": None
        if cohort or nulls
        else {"start": "2025-01-01", "end": "2026-01-01", "label": "2025-01..2025-12"},
        "fit_lookback": None
        if cohort or nulls
        else {"start": "2024-07-01", "end": "2025-07-01", "label": "2024-07..2025-06"},
        "variants": ["concurrent"] if kind == "files" else [],
        "settings": {
            "cost_base": "benefit_cost",
            "borne_by": "listing",
            "months": "snapshot",
            "lookback_months": 12,
            "condition_set": "skane_wide",
            "budget": "cost",
            "cost_responsibility": None,
            "published_year": None,
            "table_period": None,
            "period": None,
            "resamples": 2000,
            "seed": 20260507,
        },
        "totals": {
            "centres": centres,
            "persons": int(months.sum() / 5.93),
            "listed_months": float(months.sum()),
            "dispensings": None if cohort else 24193482,
            "cost_sek": float(cost.sum()),
            "budget_sek": 0.7 * float(cost.sum()),
            "published_sek": None if cohort or nulls else 6.31e8,
            "cost_responsibility": 0.7,
            "left_out": {}
            if nulls
            else {
                "atc_malformed_or_unknown": 0,
                "dispensings_of_unlisted_person": 1412,
                "dispensings_without_listed_month": 20817,
                "cost_without_listed_month_sek": 2910443,
                "duplicate_rows": 3,
                "persons_without_history": 88211,
                "strange_new_kind": 12,
            },
        },
        "warnings": [
            "The period 2026-01..2026-06 is not complete in the data: the last months lack dispensings.",
            "Something only the program knows of.",
        ]
        if kind == "files"
        else [],
        "warning_kinds": [
            {"kind": "partial_period", "values": {"period": "2026-01..2026-06"}},
            {"kind": "new", "values": {}},
        ],
        "models": {
            m: {
                "role": m,
                "payable": True,
                "phi": None if nulls else 1.0 + 0.01 * i,
                "unscaled": None
                if nulls
                else {"reimbursement_sek": 0.71 * float(cost.sum()), "spread": spread(nets[m] + 1)},
                "amounts": [
                    {"kind": k, "name": n, "sex": s, "age_from": a, "sek_per_month": x}
                    for mm, k, n, s, a, _, x in amounts
                    if mm == m
                ],
                "fit": dict.fromkeys(("r2", "cpm", "mae"))
                if nulls
                else dict(zip(("r2", "cpm", "mae"), fits[m], strict=True)),
                "spread": spread(nets[m]),
                "pass_through": None,
                "rmse_to_ideal": None,
                **({"noise_floor": None, "true_sd": None, "predictive_ratios": {}} if nulls else who(m)),
                **({} if nulls or cohort else chance(nets[m])),
            }
            for i, m in enumerate(models)
        },
        "contrasts": [
            contrast("chronic", "age_sex"),
            *([] if cohort else [contrast("chronic", "age_sex_published"), contrast("chronic_defended", "age_sex")]),
        ],
        "beside": []
        if cohort or nulls
        else [
            {
                "period": {"start": "2026-01-01", "end": "2026-03-01", "label": "2026-01..2026-02", "partial": False},
                "totals": {},
                "models": {m: {"phi": 1.0, "spread": spread(nets[m] + rng.normal(0, 3, centres))} for m in models},
                "contrasts": [contrast("chronic", "age_sex", 1.7)],
            }
        ],
        "incentives": []
        if cohort
        else [
            {
                "condition": n,
                "model": m,
                "atc": atc[0] + ("02AA"[: 7 - len(atc[0])]),
                "pack_price_sek": price,
                "cost_if_ceiling_reached_sek": 0.7 * price,
                "cost_first_purchase_sek": 0.0,
                "flag_pays_sek": pay,
                "gain_sek": pay - 0.7 * price,
                "return_per_krona": None if nulls else pay / (0.7 * price),
            }
            for n, _, _, _, atc, _, b, _, price in CONDITIONS
            for m, pay in (("age_sex", 0.0), ("chronic", 6.0 * b), ("chronic_defended", 0.0))
        ],
        "conditions": []
        if cohort
        else [
            {
                "name": n,
                "label_sv": sv,
                "label_en": en,
                "theme": theme,
                "atc": atc,
                "exclude": ["C09DX04"] if n == "hypertoni" else [],
                "rule_sv": "Uthämtad i återblicken. Skärpt regel: minst 2 datum, minst 180 DDD."
                + " C08 räknas inte då." * (n == "hypertoni"),
                "rule_en": "Dispensed in the look-back. Defended rule: at least 2 dates, at least 180 DDD."
                + " C08 do not count then." * (n == "hypertoni"),
                "persons": None if nulls else persons,
                "source": "assumed",
            }
            for n, sv, en, theme, atc, persons, *_ in CONDITIONS
        ],
        "examples": []
        if cohort
        else [
            {
                "who": who,
                "age": 60,
                "sex": "M",
                "conditions": held,
                "models": {
                    m: {
                        "parts": [
                            {"name": "age_sex", "label_sv": "man, 60–64 år", "label_en": "man, 60–64", "sek": base[m]},
                            *(
                                {"name": c[0], "label_sv": c[1], "label_en": c[2], "sek": tables[m][1][c[0]]}
                                for c in CONDITIONS
                                if c[0] in held and tables[m][1]
                            ),
                        ],
                        "total": base[m] + sum(x for n, x in tables[m][1].items() if n in held),
                    }
                    for m in models
                },
            }
            for base in [{m: next(x for s, a, x in tables[m][0] if (s, a) == ("M", 60)) for m in models}]
            for who, held in (
                ("Johan", []),
                ("Anders", ["diabetes_oral", "ihd_antiplatelet", "doak", "inflammatorisk", "cancer_hormon"]),
            )
        ],
        "found": [
            "dispensings.csv: separator ';', decimal comma, encoding cp1252.",
            "No in_base: all rows count as base.",
        ],
        "condition_statement": {
            "sv": "Listan är vår egen tolkning; regionens lista är inte offentlig.",
            "en": "The list is our own reading; the region's list is not public.",
        },
        "coverage": None
        if cohort
        else {
            "codes": 1612,
            "unmatched_codes": 1188,
            "several_codes": 6,
            "unused_entries": 2,
            "unmatched_share_of_cost": 0.41,
        },
    }
    if not nulls:
        decide(results, kind, verdict)
    if kind == "simulation":
        results["models"]["age_sex_pool"] = results["models"]["age_sex"] | {"role": "competitor", "amounts": []}
    (folder / "results.json").write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")

    if kind == "simulation" and verdict == "for":
        (folder / "manipulation").mkdir(exist_ok=True)
        (folder / "manipulation" / "manipulation.json").write_text(json.dumps(played()), encoding="utf-8")

    if kind == "simulation" and not nulls:
        published = {(s, a): x for s, a, x in tables["age_sex_published"][0]}
        calibration = {
            "table": [
                {
                    "sex": s,
                    "age_band": ">100" if a == 100 else f"{a:02}-{a + 4:02}",
                    "published": x,
                    "derived": x + (a == 95),
                    "equal": a != 95,
                    "se": 0.4,
                }
                for (s, a), x in published.items()
            ],
            "equal_cells": 40,
            "within_3_se": 42,
            "factors": [],
            "prevalence": [
                {
                    "condition": c[0],
                    "sex": s,
                    "band10": f"{b}-{b + 9}",
                    "reference": float(r),
                    "simulated": float(r * rng.lognormal(0, 0.05)),
                }
                for c in CONDITIONS
                for s in "KM"
                for b in range(0, 90, 10)
                for r in [rng.lognormal(2.5, 1.5)]
            ],
            "total_cost_sek": 1.81e9,
            "top1_share": 0.171,
            "list_sizes": {"min": 1240, "p10": 4180, "median": 7210, "p90": 13100, "max": 21800, "mean": 7902},
            "prevalence_cv": [
                {"condition": c[0], "observed": 0.14, "chance": 0.03, "latent": 0.13} for c in CONDITIONS
            ],
            "changes": [
                {"group": "hypertoni", "old": 620, "new": 548, "why": "factor outside 0.67–1.5 for women 75–79"}
            ],
        }
        (folder / "calibration.json").write_text(json.dumps(calibration, ensure_ascii=False), encoding="utf-8")
    return folder


def decide(results: dict[str, Any], kind: str, verdict: str) -> None:
    """What only a run of persons in a region tells beside the spread: the verdict, who wins, prices, phase-in."""
    cohort, chronic = kind == "cohort", results["models"]["chronic"]
    holds = {"for": True, "against": False, "undecided": None}[verdict]
    high = results["contrasts"][0]["ci_high"]
    results["verdict"] = {"rule": "2026-11", "decision": verdict, "clauses": [
        {"name": "spread.chronic", "says": "closer", "number": high, "threshold": 0.0, "holds": holds, "detail": ""},
        {"name": "spread.chronic_pool", "says": "closer", "number": None, "threshold": 0.0,
         "holds": True if holds else None, "detail": ""},
        {"name": "pass_through", "says": "style", "number": None if kind == "files" else -0.02, "threshold": -0.05,
         "holds": holds, "detail": ""},
        {"name": "groups", "says": "groups", "number": 4.0 if holds else 12.5, "threshold": 10.0, "holds": holds,
         "detail": "", **({"group": "condition:doak", "further_from": "need"} if cohort or verdict == "for" else
                          {"group": "drugs:5+", "further_from": "cost"})},
        {"name": "manipulation", "says": "play", "number": None, "threshold": None, "holds": True if holds else None,
         "detail": ""},
        {"name": "own", "says": "a clause of one's own", "number": 1.0, "threshold": 2.0, "holds": holds,
         "detail": ""}]}
    if cohort:
        return
    results["noise"] = {"low": 1.0, "high": 1.5}
    if verdict != "for":
        results["truth"] = {"ideal_sd": 1.75}
        for m, through in (("age_sex", 1.0), ("chronic", 0.7)):
            results["models"][m] |= {"pass_through": through, "pass_through_low": through - 0.1,
                                     "pass_through_high": through + 0.1, "rmse_to_ideal": 6.5}
        results["contrasts"][0] |= {"pass_through_change_low": -0.5, "pass_through_change_high": -0.1}
    results["price_style"] = {"on_net": {m: {"slope": x, "ci_low": x - 0.2, "ci_high": x + 0.2}
                                         for m, x in (("age_sex", 1.1), ("chronic", 0.9))}}
    results["stability"] = {"chronic": {"correlation": 0.98, "median_abs_change": 2.5, "largest_abs_change": 61.0}}
    results["warning_kinds"].append(
        {"kind": "negative_amounts", "values": {"model": "chronic", "cells": 7, "of": 42, "lowest": "−9"}})
    results["credibility"] = [
        {"condition": c[0], "persons": c[5] if c[5] > 4 else None, "thin": c[5] < 5000} for c in CONDITIONS]
    results["amount_intervals"] = {"chronic": [
        *({"kind": "condition", "name": c[0], "sex": None, "age_from": None, "sek_per_month": c[6],
           "ci_low": c[6] - 6300 / c[5], "ci_high": c[6] + 6300 / c[5]} for c in CONDITIONS if c[5] > 4),
        {"kind": "age_sex", "name": "60-64", "sex": "K", "age_from": 60, "sek_per_month": 1.0, "ci_low": -2.0,
         "ci_high": 4.0},
        {"kind": "age_sex", "name": ">100", "sex": "K", "age_from": 100, "sek_per_month": 1.0, "ci_low": None,
         "ci_high": None}]}
    chronic["funnel"] = {"target": 0.0, "over_dispersion": 1.1, "tau2": 2.0, "outside": 1}
    chronic["redistribution"] = {
        "against": "age_sex", "sek": 21.5e6, "share_of_budget": 0.034, "gaining": 77, "losing": 103,
        "changing_sign": 31, "largest_loss": -14.2, "largest_gain": 16.9,
        "by_kind_of_centre": [
            {"group": g, "centres": 30, "gaining": 12, "change_sek": x * 1e6, "change_sek_per_listed_month": x}
            for g, x in (("operator:public", 1.5), ("operator:private", -1.5),
                         ("rural:yes", 0.25 if holds else -0.25))],
        "by_group_of_persons": [
            {"group": g, "persons": p, "change_sek": x * 1e6, "change_sek_per_listed_month": x}
            for g, p, x in (("conditions:0", 951387, -28.0), ("conditions:2", 99000, 10.0),
                            ("conditions:4+", 73882, 410.5), ("condition:doak", 48790, 380.0),
                            ("age:60-64", 90000, 2.0))],
    }
    results["phase_in"] = {"from": "age_sex_published", "to": "chronic", "cap": 1.31, "rows": [
        {"years": years, "cap": cap, "year": year, "mean_abs_change": 5.0 / years, "largest_loss": -(cap or 14 / years),
         "largest_gain": 16.0 / years, "held_up": 40 if cap else 0}
        for years in (1, 2, 3) for cap in (None, 1.31) for year in range(1, years + 1)]}
    effect = {f"{k}_{when}": x for when in ("without", "with") for k, x in (
        ("sd", 4.5), ("moved_sek", 3.2e6), ("largest_loss", -2.5), ("largest_gain", 3.5))}
    results["repricing"] = [{"atc": "B01AF02", "price_index": 0.2, "why_sv": "apixaban blir billigare",
                             "why_en": "apixaban becomes cheaper", "cost_before_sek": 9e8, "cost_saved_sek": 8e7,
                             "models": {"age_sex": effect | {"add_ons": []}, "chronic": effect | {
                                 "add_ons": [{"name": "doak", "before": 341, "after": 140}]}}}]


def played() -> dict[str, Any]:
    """manipulation.json of a few designs and tricks."""
    designs = {"today": (0.0, 6.0, 2.2), "proposal": (1.0, 4.5, 44.2), "list_rules": (1.1, 4.4, 26.5),
               "run_off": (1.05, 4.6, 17.0), "own_design": (0.9, 4.7, 30.0)}
    return {
        "schema": 1, "content_hash": CONTENT_HASH, "players": 18, "centres": 180, "players_persons": 140_000,
        "noise_floor": 1.25,
        "recommended": "run_off", "assumed": ["Work costs nothing."],
        "frontier": [{"design": name, "r2": 0.4, "rmse_to_ideal": rmse, "worst_gain": gain, "worst_strategy": "stack",
                      "fit_kept": kept, "robustness": 1 - gain / 44.2, "dominated": name in ("proposal", "own_design"),
                      "recommended": name == "run_off"} for name, (kept, rmse, gain) in designs.items()],
        "strategies": [{"number": 7, "name": "stack"}, {"number": 14, "name": "everyone"}],
        "gains": [{"strategy": s, "design": d, "effort": 0.1, "played_by": "one" if s == "stack" else "all",
                   "gain_per_listed_month": gain if s == "stack" else -1.5}
                  for s in ("stack", "everyone") for d, (_, _, gain) in designs.items()]}


if __name__ == "__main__":
    target, *rest = sys.argv[1:]
    make(Path(target), *rest[:2], **({"centres": int(rest[2])} if len(rest) > 2 else {}))
