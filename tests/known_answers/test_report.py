"""The report says what the run folder holds: in words that can fall either way, in both languages."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fake_run import CONDITIONS, NASTY, make, played
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation import WARNINGS
from lakemedelsmodell.manipulation.designs import read_designs
from lakemedelsmodell.manipulation.strategies import STRATEGIES
from lakemedelsmodell.report import LANGUAGES, assembly, drawing, figures, render_report, worlds, write_reports
from lakemedelsmodell.report.contents import read_run
from lakemedelsmodell.report.decision import answer
from lakemedelsmodell.report.drawing import Words
from lakemedelsmodell.report.numbers import Numbers
from lakemedelsmodell.report.page import Page
from lakemedelsmodell.report.texts import all_texts
from lakemedelsmodell.study.grid import MEASURES, Grid, GridResult, read_grid

NARROW, MINUS, HARD = "\u202f", "\u2212", "\u00a0"
RUNS = {
    "for": ("simulation", "for", 180),
    "against": ("simulation", "against", 180),
    "undecided": ("simulation", "undecided", 24),
    "nulls": ("simulation", "nulls", 3),
    "files": ("files", "for", 41),
    "cohort": ("cohort", "against", 200),
}
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Text, ids, links and the tag balance of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.targets: set[str] = set()
        self.links: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids[value or ""] += 1
            elif name in ("href", "src", "srcset", "data"):
                self.links.append(value or "")
            elif name in ("aria-labelledby", "aria-describedby"):
                self.targets |= set((value or "").split())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.text.append(data)


def shipped_worlds(flips: bool = True, alike: bool = False) -> tuple[pd.DataFrame, GridResult]:
    """Three worlds, ``alike`` if the rule says the same of them, and a grid of two dimensions, as those that ship."""
    clauses = ("spread.chronic", "spread.chronic_pool", "pass_through", "groups", "manipulation")
    verdicts = pd.DataFrame([
        {"world": world, "title_sv": f"{world} på svenska", "title_en": f"{world} in English", "scale": 0.1, "seed": 1,
         "replicates": draws, "rule": "2026-11", "decision": "against" if alike else decision,
         "clause": clause, "number": number, "holds": holds if clause in clauses[:1] else None}
        for world, draws, decision, number, holds in (
            ("plain", 16, "for", -0.2, True), ("gaming", 8, "against", 0.1, False), ("dull", 8, "undecided", 0.0, None))
        for clause in clauses])
    dimensions = ({"name": "tail", "path": "prescribing.tail", "low": 0.5, "high": 1.5, "unit": "factor"},
                  {"name": "moves", "path": "population.move_per_1000", "low": 0.0, "high": 3.0, "unit": "times"})
    rows = [{"design": "one_at_a_time", "varied": d["name"], d["name"]: x, "rmse_change": y, "replicates": 2,
             "scale": 0.1}
            for d, change in zip(dimensions, ((-3.0, 1.0 if flips else -1.0), (-2.0, -1.0)), strict=True)
            for x, y in zip((d["low"], d["high"]), change, strict=True)]
    table = pd.DataFrame(rows)
    for measure in MEASURES:
        table[measure] = table.get(measure, -1.0)
        table[f"{measure}_mcse"] = 0.1
        table[f"{measure}_negative"] = 0.5
    return verdicts, GridResult(Grid(world="skane_2026h1", points=0, dimension=dimensions), table)


@pytest.fixture(scope="module", autouse=True)
def _worlds() -> Iterator[None]:
    """Results that do not move when the packaged worlds are drawn anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "packaged", shipped_worlds)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name), *run) for name, run in RUNS.items()}


@pytest.fixture(scope="module")
def pages(folders: dict[str, Path]) -> dict[tuple[str, str], str]:
    """Every run in both languages; figures, which take the time, only where another kind of them is drawn."""
    found = {}
    for name, folder in folders.items():
        for lang in LANGUAGES:
            with pytest.MonkeyPatch.context() as patch:
                if (name, lang) not in (("for", "en"), ("undecided", "en")):
                    patch.setattr(drawing, "drawn", lambda *_: "")
                found[name, lang] = render_report(folder, lang)
    return found


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Reader(html).text)).replace(NARROW, "_").replace(HARD, " ")


def row(html: str, table: str, head: str) -> list[str]:
    """The cells of the row that begins with ``head`` in the table with that id."""
    body = html[html.index(f'id="{table}"') :]
    body = body[: body.index("</table>")]
    found = re.search(rf'<th scope="row">{re.escape(head)}(?:<span.*?</span>)?</th>(.*?)</tr>', body)
    assert found, (table, head)
    return re.findall(r"<td[^>]*>(.*?)</td>", found[1])


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("run", RUNS)
def test_every_page_is_whole_and_stands_alone(pages: dict[tuple[str, str], str], run: str, lang: str) -> None:
    html = pages[run, lang]
    page = Reader(html)
    assert html.startswith("<!DOCTYPE html>") and f'<html lang="{lang}">' in html
    assert [ident for ident, n in page.ids.items() if n > 1] == []
    assert page.targets <= set(page.ids)
    beside = set() if run == "cohort" else {f"page.{lang}.html"}
    assert {link for link in page.links if not link.startswith("#")} == beside  # one file, and what lies beside it
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert not re.search(r"https?:|@import|url\((?!#)|<script|<link|<img", html)
    said = plain(html)
    assert not re.search(r"\{\w*\}|\bNone\b|\bnan\b|\binf\b|Undefined|_cohort", said.replace(NASTY, ""))
    assert page.tags["h1"] == 1 and page.tags["caption"] == page.tags["table"]


def test_the_same_folder_gives_the_same_bytes(folders: dict[str, Path], pages: dict[tuple[str, str], str]) -> None:
    (path,) = write_reports(folders["undecided"], ["en"])
    assert path.name == "report.en.html"
    assert path.read_text(encoding="utf-8") == pages["undecided", "en"]


def test_the_languages_have_the_same_texts_with_the_same_blanks() -> None:
    sv, en = all_texts("sv"), all_texts("en")
    assert sv.keys() == en.keys()

    def blanks(text: Any) -> set[str]:
        found = re.findall(r"\{(\w+)\}", text) if isinstance(text, str) else []
        return {re.sub("_(sv|en)$", "", blank) for blank in found}  # lists of names are given in either language

    assert [key for key in sv if blanks(sv[key]) != blanks(en[key])] == []
    assert [key for key in sv if not sv[key]] == []


def test_every_text_is_used(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "drawn", lambda *_: "")
    used: set[str] = set()
    odd = dict(folders)
    variants = {  # what the fake runs do not show by themselves
        "lone": {
            "variants": ["concurrent", "concurrent flags", "short look-back"],
            "totals": {"left_out": {}},
            "coverage": None,
        },
        "january": {
            "period": {"start": "2026-01-01", "end": "2026-02-01"},
            "beside": [{"period": {"start": "2026-01-01", "end": "2026-07-01"}}],
        },
        "years": {"period": {"start": "2025-07-01", "end": "2026-07-01"}, "condition_statement": None},
    }
    for name, change in variants.items():
        odd[name] = make(tmp_path / name, "files", "for", 2 if name == "lone" else 5)
        edit(odd[name], change)
    for k, (low, high, log) in enumerate([(None, None, 0.0), (-0.1, 0.1, 0.05), (0.1, 0.2, 0.15)]):
        odd[f"c{k}"] = make(tmp_path / f"c{k}", "files", "for", 5)
        edit(
            odd[f"c{k}"],
            {
                "verdict": None,
                "beside": [
                    {
                        "period": {"start": "2026-01-01", "end": "2026-03-01"},
                        "contrasts": [
                            {
                                "model": "chronic",
                                "against": "age_sex",
                                "log_sd_ratio": log,
                                "ci_low": low,
                                "ci_high": high,
                            }
                        ],
                    }
                ],
                "contrasts": [
                    {"model": "chronic", "against": "age_sex", "log_sd_ratio": log, "ci_low": low, "ci_high": high}
                ],
                "incentives": [
                    {"condition": "doak", "model": m, "cost_if_ceiling_reached_sek": 90, "flag_pays_sek": 20}
                    for m in ("chronic", "chronic_defended")
                ],
            },
        )
    calibrated = make(tmp_path / "calibrated", "simulation", "for", 3)
    calibration = json.loads((calibrated / "calibration.json").read_text(encoding="utf-8"))
    calibration["table"] = [cell | {"equal": True} for cell in calibration["table"]]
    (calibrated / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    odd["newcomers"] = with_newcomers(make(tmp_path / "newcomers", "simulation", "against", 5))
    odd |= {"calibrated": calibrated, "cohort for": make(tmp_path / "cohort", "cohort", "for", 5)}
    for kind in ("files", "cohort"):
        for fell in ("for", "against", "undecided"):
            odd[f"{kind} {fell}"] = make(tmp_path / f"{kind}-{fell}", kind, fell, 5)
            odd[f"{kind} {fell} unjudged"] = make(tmp_path / f"{kind}-{fell}-unjudged", kind, fell, 5)
            edit(odd[f"{kind} {fell} unjudged"], {"verdict": None})
    for outcome in (None, False):
        odd[f"all {outcome}"] = whole = make(tmp_path / f"all-{outcome}", "simulation", "for", 5)
        found = json.loads((whole / "results.json").read_text(encoding="utf-8"))["verdict"]
        found |= {"decision": "undecided", "clauses": [c | {"holds": outcome} for c in found["clauses"]]}
        edit(whole, {"verdict": found})
        play = whole / "manipulation" / "manipulation.json"
        told = json.loads(play.read_text(encoding="utf-8"))
        told |= {"recommended": None, "frontier": [d | {"rmse_to_ideal": None} for d in told["frontier"]]}
        play.write_text(json.dumps(told), encoding="utf-8")
    odd["one"] = bare = make(tmp_path / "one", "files", "nulls", 1)  # no add-ons, amounts without a date
    rows = (bare / "amounts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [r.replace("2026-01-01", "") for r in rows if ",condition," not in r]
    (bare / "amounts.csv").write_text("".join([*rows, "chronic,age_sex,00-04,K,0,4,-8,,\n"]), encoding="utf-8")
    for name, folder in odd.items():
        monkeypatch.setattr(worlds, "packaged", partial(shipped_worlds, name != "january", name == "january"))
        page = Page(read_run(folder), "sv")
        assembly.head(page)["scroll"](caption=""), answer(page), assembly.sections(page)
        used |= page.text.used
    # By names that come from the run.
    looked_up = ("models.", "warnings.", "left_out.", "coverage.", "settings_names.", "settings_values.", "designs.",
                 "strategies.", "dimensions.")
    idle = {key for key in all_texts("sv") if key not in used and not key.startswith(looked_up)}
    # A cohort run never draws these words, but each kind of run has the same ones.
    assert sorted(key for key in idle if not key.startswith(("files.", "cohort.", "simulation."))) == []


def with_newcomers(folder: Path) -> Path:
    """The run, where the clause on groups fails on those who were listed nowhere the year before."""
    told = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    models, group = told["models"], "prior_cost:unknown"
    models["chronic"]["predictive_ratios"][group]["under_compensation_sek"] = -22.5
    models["chronic_newcomers"] = {"predictive_ratios": {group: {"under_compensation_sek": -0.5}}}
    clauses = [c | ({"holds": False, "group": group, "further_from": "cost"} if c["name"] == "groups" else {})
               for c in told["verdict"]["clauses"]]
    edit(folder, {"models": models, "verdict": told["verdict"] | {"clauses": clauses}})
    return folder


def test_what_an_amount_for_newcomers_does_is_told_where_the_clause_fails_on_them(tmp_path):
    folder = make(tmp_path / "run", "simulation", "against", 5)
    assert "eget belopp" not in render_report(folder, "sv")
    assert f"{MINUS}22,5 kr per listad månad" in plain(render_report(with_newcomers(folder), "sv"))
    assert f"it is {MINUS}0.5 SEK" in plain(render_report(folder, "en"))


def edit(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")


@pytest.mark.parametrize(
    ("run", "sv", "en"),
    [
        (
            "for",
            r"På simulerade data för januari–juni 2026 skiljer sig vårdcentralernas läkemedelsnetto mindre åt "
            r".* spridningen är 23,9 % mindre \(95 %.intervall: 19,5 till 28,4 % mindre\)",
            r"lie closer together .* 23\.9% smaller \(95% interval: 19\.5 to 28\.4% smaller\)",
        ),
        (
            "against",
            r"läkemedelsnetto mer åt .* % större \(95 %.intervall: [\d,]+ till [\d,]+ % större\)",
            r"lie further apart .* larger",
        ),
        (
            "undecided",
            r"går det inte att säga .* sträcker sig från [\d,]+ % mindre till [\d,]+ % större",
            r"cannot be said .* smaller to .* larger",
        ),
        ("nulls", r"kunde spridningen .* inte jämföras", r"could not be compared"),
        (
            "cohort",
            r"Bland dessa verkliga personer, som inte är från Skåne, skiljer sig enheternas netto mer åt",
            r"real persons, who are not from Skåne,",
        ),
        (
            "files",
            r"På de inlästa filerna för januari–juni 2026 skiljer sig",
            r"On the files that were read, for January–June 2026,",
        ),
    ],
)
def test_the_answer_falls_as_its_interval_falls(pages: dict[tuple[str, str], str], run: str, sv: str, en: str) -> None:
    for lang, pattern in (("sv", sv), ("en", en)):
        sentence = re.search(r'<span class="sentence">(.*?)</span>', pages[run, lang])
        assert sentence and re.search(pattern, plain(sentence[0])), plain(sentence[0]) if sentence else None


def test_what_kind_of_data_is_said_first(pages: dict[tuple[str, str], str]) -> None:
    for run, words in (
        ("for", "Simulerade data."),
        ("cohort", "Verkliga personer, inte Skåne."),
        ("files", "Inlästa filer."),
    ):
        said = plain(pages[run, "sv"])
        assert said.index(words) < said.index("Sammanfattning")


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "sv", "en"),
    [
        (1234567.891, 2, False, f"1{NARROW}234{NARROW}567,89", "1,234,567.89"),
        (-0.004, 2, False, "0,00", "0.00"),
        (-1234.5, 1, False, f"{MINUS}1{NARROW}234,5", f"{MINUS}1,234.5"),
        (3, 0, True, "+3", "+3"),
        (0, 0, True, "0", "0"),
        (None, 2, False, "–", "–"),
        (float("nan"), 0, False, "–", "–"),
        (float("inf"), 0, False, "–", "–"),
    ],
)
def test_numbers(value: float | None, decimals: int, sign: bool, sv: str, en: str) -> None:
    assert [Numbers(lang).number(value, decimals, sign=sign) for lang in LANGUAGES] == [sv, en]


def test_percent_money_and_small_counts() -> None:
    sv, en = Numbers("sv"), Numbers("en")
    assert (sv.percent(0.234), en.percent(0.234)) == (f"23,4{HARD}%", "23.4%")
    assert (sv.millions(4.84e6), sv.millions(12_300), sv.millions(None)) == ("4,8", "0,012", "–")
    assert [sv.persons(n) for n in (0, 1, 4, 5, 1412, None)] == ["0", "<5", "<5", "5", f"1{NARROW}412", "–"]
    assert (sv.whole_or(163.0, 1), sv.whole_or(163.25, 1)) == ("163", "163,2")


def test_unknown_measures_are_dashes_with_an_explanation(pages: dict[tuple[str, str], str]) -> None:
    assert set(row(pages["nulls", "sv"], "table-measures", "Standardavvikelse")) == {"–"}
    assert set(row(pages["for", "en"], "table-measures", "Distance to the ideal net")) == {"–"}
    assert "An unknown number is never zero." in pages["for", "en"]


def test_measures_stand_under_their_models(folders: dict[str, Path], pages: dict[tuple[str, str], str]) -> None:
    models = json.loads((folders["for"] / "results.json").read_text(encoding="utf-8"))["models"]
    shown = ("age_sex_published", "age_sex", "chronic", "chronic_defended", "flat")
    assert row(pages["for", "en"], "table-measures", "Standard deviation") == [
        f"{models[m]['spread']['sd']:.2f}" for m in shown
    ]
    assert row(pages["for", "en"], "table-measures", "R², variation explained") == [
        f"{models[m]['fit']['r2']:.3f}" for m in shown
    ]


def test_johan_and_anders_are_sums_of_named_parts(pages: dict[tuple[str, str], str]) -> None:
    base = int(row(pages["for", "sv"], "table-example-1", "Ålder och kön: man, 60–64 år")[2])
    assert row(pages["for", "sv"], "table-example-1", "Summa per månad")[2] == str(base)
    held = (
        "Diabetes – metformin m.fl.",
        "Antikoagulantia – DOAK",
        "Ischemisk hjärtsjukdom",
        "Inflammatorisk sjukdom",
        "Cancer – hormonell",
    )
    parts = [int(row(pages["for", "sv"], "table-example-2", name)[2]) for name in held]
    assert int(row(pages["for", "sv"], "table-example-2", "Summa per månad")[2]) == base + sum(parts)
    assert row(pages["for", "sv"], "table-example-2", held[0])[0] == ""  # today's model has no such part


def test_nothing_about_fewer_than_five_persons(pages: dict[tuple[str, str], str]) -> None:
    few = next(c for c in CONDITIONS if c[5] < 5)
    cells = row(pages["for", "en"], "table-add-ons", few[2])
    assert cells[1:] == ["&lt;5", "–", "–", "–", "–"]
    assert few[2] not in pages["for", "en"][pages["for", "en"].index('id="table-starter"') :].split("</table>")[0]
    assert row(pages["for", "en"], "table-left-out", "Duplicate rows") == ["&lt;5"]
    assert len(re.findall("<tr>", pages["for", "en"].split('id="table-centres"')[1].split("</table>")[0])) - 2 == 179
    assert "Number not shown because they are too small (fewer than five persons) or lack figures: 1." in plain(
        pages["for", "en"]
    )


def test_an_age_band_of_few_persons_keeps_its_amounts_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "drawn", lambda *_: "")
    folder = make(tmp_path, "files", "for", 5)
    models = json.loads((folder / "results.json").read_text(encoding="utf-8"))["models"]
    for m in models:
        models[m]["predictive_ratios"]["age:>100"] = {"ratio": 1.0, "persons": 9}
    edit(folder, {"models": models})
    cells = row(render_report(folder, "en"), "table-age-sex", "100 and older")
    assert cells[0] != "–" and set(cells[1:4]) == {"–"} and cells[4] != "–"  # the published amount is nobody's secret


def test_names_are_escaped(pages: dict[tuple[str, str], str]) -> None:
    for run in ("undecided", "for"):  # named in the figure; in the table
        assert NASTY not in pages[run, "sv"] and "<script" not in pages[run, "sv"]
        assert "&lt;script&gt;" in pages[run, "sv"]


def test_every_warning_of_an_evaluation_is_said_in_both_languages() -> None:
    for lang in LANGUAGES:
        texts = {k.removeprefix("warnings."): v for k, v in all_texts(lang).items() if k.startswith("warnings.")}
        assert texts.keys() == WARNINGS.keys()
        for kind, text in texts.items():
            said, of_program = ({re.sub("_(sv|en)$", "", value) for value in re.findall(r"{(\w+)}", t)}
                                for t in (text, WARNINGS[kind]))
            assert said <= of_program


def test_warnings_stand_at_the_top_and_known_ones_in_swedish(pages: dict[tuple[str, str], str]) -> None:
    html = pages["files", "sv"]
    assert html.index("Perioden 2026-01..2026-06 är inte komplett i data") < html.index("<nav")
    assert '<li lang="en">Something only the program knows of.</li>' in html


def test_january_and_february_stand_beside_the_half_year(pages: dict[tuple[str, str], str]) -> None:
    said = plain(pages["for", "en"])
    assert (
        "January–February 2026: the spread is 23.9% smaller under the proposal" in said
        and "That is the direction the region found." in said
    )
    assert "the opposite of what the region found" in plain(pages["against", "en"])
    assert len(row(pages["for", "en"], "table-beside", "Standard deviation")) == 4


def paths_of(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every part of a tree, but of lists and of what has one part per condition only into the first."""
    entries = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in entries[:1] if path and len(entries) > 14 or isinstance(tree, list) else entries:
        yield (*path, key)
        if key not in ("flat", "age_sex_published", "chronic_defended", "amounts"):
            yield from paths_of(value, (*path, key))


@pytest.mark.parametrize("file", ["results.json", "calibration.json"])
def test_any_part_may_be_null_or_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(drawing, "drawn", lambda *_: "")
    folder = make(tmp_path, "simulation", "for", 4)
    whole = (folder / file).read_text(encoding="utf-8")
    found = [path for path in paths_of(json.loads(whole)) if path != ("schema",)]
    for n, path in enumerate(found[:: 4 if file == "results.json" else 1]):
        tree = json.loads(whole)
        part = tree
        for key in path[:-1]:
            part = part[key]
        if n % 2 and isinstance(part, dict):
            del part[path[-1]]
        else:
            part[path[-1]] = None
        (folder / file).write_text(json.dumps(tree), encoding="utf-8")
        assert "</html>" in render_report(folder, "sv"), path


@pytest.mark.parametrize("centres", [1, 2])
def test_any_number_of_centres(tmp_path: Path, centres: int) -> None:
    html = render_report(make(tmp_path, "simulation", "undecided", centres), "en")
    assert ('id="all-centres"' in html) == (centres > 1)


def test_a_figure_shows_every_centre_and_a_shared_zero() -> None:
    words = Words(number=Numbers("sv").number, value="Netto", today="i dag", proposal="förslaget")
    from matplotlib.figure import Figure

    ax = figures.centre_nets(range(-90, 90), [x / 2 for x in range(-90, 90)], words, ax=Figure().subplots())
    assert [len(dots.get_offsets()) for dots in ax.collections if dots.get_label() in ("i dag", "förslaget")] == [
        180,
        180,
    ]
    assert ax.yaxis.get_major_formatter()(-2.5, None) == f"{MINUS}2"


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="results.json is missing"):
        render_report(tmp_path, "sv")
    folder = make(tmp_path / "run", "files", "for", 3)
    with pytest.raises(UserError, match="no report in 'de'"):
        render_report(folder, "de")
    edit(folder, {"schema": 2})
    with pytest.raises(UserError, match="has schema 2"):
        render_report(folder, "sv")


@pytest.mark.parametrize(
    ("run", "sv", "en"),
    [
        (
            "for",
            r"standardavvikelsen ändå vara 1,20 kr per listad månad\. Med dagens modell är den 6,\d\d; då skulle "
            r"alltså \d\d % av spridningen finnas kvar",
            r"the standard deviation would still be 1\.20 SEK per listed month",
        ),
        (
            "undecided",
            r"ändå vara 7,50 kr .* alltså inte större än vad slumpen ensam ger",
            r"no larger than chance alone gives",
        ),
    ],
)
def test_how_much_spread_would_remain_if_nobody_differed(
    pages: dict[tuple[str, str], str], run: str, sv: str, en: str
) -> None:
    for lang, pattern in (("sv", sv), ("en", en)):
        assert re.search(pattern, plain(pages[run, lang])), lang
    assert row(pages[run, "en"], "table-chance", "Lasting differences") == ["1.60", "51%", "1.60", "51%"]
    assert 'id="chance"' not in pages["nulls", "en"] + pages["cohort", "en"]


def test_who_is_paid_too_little_stands_with_its_interval(pages: dict[tuple[str, str], str]) -> None:
    cells = row(pages["for", "sv"], "table-groups", "Fem läkemedel eller fler")
    assert [cell.replace(NARROW, "_") for cell in cells] == [
        "216_217", "−1,26", "−169,7", "−170,7 till −168,7", "0,43", "−42,4", "−43,4 till −41,4"]
    assert 'id="groups"' not in pages["nulls", "sv"]


def test_a_group_of_too_few_is_named_and_nothing_told(pages: dict[tuple[str, str], str]) -> None:
    for table, head in (("table-groups", "Listed for part of the period only"), ("table-bands", "100+")):
        assert row(pages["for", "en"], table, head) == ["&lt;5", *["–"] * 6]


@pytest.mark.parametrize(
    ("run", "sv", "en"),
    [
        ("for", "förslaget flyttar pengar till de offentliga", "SEK 3.75 per listed month from private to public"),
        ("against", "förslaget flyttar pengar till de privata", "SEK 3.75 per listed month from public to private"),
        ("undecided", "så det går inte att säga att förslaget gynnar någondera sidan", "The interval holds zero"),
    ],
)
def test_who_runs_a_centre_is_told_as_the_interval_falls(
    pages: dict[tuple[str, str], str], run: str, sv: str, en: str
) -> None:
    assert sv in plain(pages[run, "sv"]) and en in plain(pages[run, "en"])


def test_a_band_of_persons_nobody_may_be_told_of_has_no_amount(folders: dict[str, Path]) -> None:
    contents = read_run(folders["for"])
    assert all(math.isnan(contents.cells("chronic")[100, sex]) for sex in "KM")
    assert not math.isnan(contents.cells("chronic")[95, "K"])
    assert not math.isnan(contents.cells("age_sex_published")[100, "K"])  # published, so anybody knows it


def test_groups_lie_where_their_numbers_say() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", today="today", proposal="proposal")
    values = {"today": [[-170, -180, -160], [1, 0, 2]], "proposal": [[-20, -30, -10], [None, None, None]]}
    (ax,) = figures.group_gaps([("Persons", ["Five drugs", "Moved"], values)], words, Figure(figsize=(7, 3)))
    today, proposal = (ax.collections[k].get_offsets() for k in (1, 3))
    assert today[:, 0].tolist() == [-170, 1] and today[0, 1] > today[1, 1]  # the first group at the top
    assert proposal[0, 0] == -20
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Five drugs", "Moved"]


def test_deciles_show_predicted_less_actual() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", rank="tenth", today="today", proposal="proposal")
    points = {"today": [[1, 12, 10, 1.2, 1.1, 1.3]], "proposal": [[10, 90, 100, 0.9, 0.8, 1.0]]}
    ax = figures.decile_gaps(points, words, ax=Figure().subplots())
    assert [float(ax.collections[k].get_offsets()[0, 1]) for k in (1, 3)] == [2, -10]
    ends = ax.collections[0].get_segments()[0][:, 1]
    assert ends.tolist() == pytest.approx([1, 3])


def test_ticks_keep_the_decimals_their_step_needs() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", today="today", proposal="proposal")
    values = {"today": [[-10, -12, -6]], "proposal": [[5, 4, 6]]}
    figure = Figure(figsize=(7, 2))
    (ax,) = figures.group_gaps([("", ["One"], values)], words, figure)
    ax.xaxis.set_ticks([-2.5, 0, 2.5])
    figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{MINUS}2.5", "0.0", "2.5"]


def test_the_headline_is_no_rosier_than_the_verdict(pages: dict[tuple[str, str], str], tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """A spread that is surely smaller beside one clause that fails is a no; beside one that is open, no answer."""
    monkeypatch.setattr(drawing, "drawn", lambda *_: "")
    assert "The rule fixed beforehand says yes: all 6 clauses hold." in plain(pages["for", "en"])
    for holds, tag, ruling in ((False, "The rule says no", "says no: 1 of 6 clauses fail"),
                               (None, "No answer yet", "no answer yet: 5 of 6 clauses hold and 1 are unanswered")):
        folder = make(tmp_path / str(holds), "simulation", "for", 5)
        found = json.loads((folder / "results.json").read_text(encoding="utf-8"))["verdict"]
        found["decision"] = "against" if holds is False else "undecided"
        found["clauses"][2]["holds"] = holds
        edit(folder, {"verdict": found})
        said = plain(render_report(folder, "en").split('id="answer"')[1].split("</section>")[0])
        assert tag in said and ruling in said and "closer together" in said
        assert ("own prescribing shows less" if holds is False else "whether own prescribing shows") in said


def test_clauses_stand_with_number_threshold_and_outcome(pages: dict[tuple[str, str], str]) -> None:
    cells = row(pages["against", "en"], "table-verdict",
                "Own prescribing shows no less in the net (change in pass-through)")
    assert [plain(cell) for cell in cells] == ["Fails", f"{MINUS}0.02", f"at least {MINUS}0.05"]
    cells = row(pages["for", "sv"], "table-verdict", "Den egna förskrivningen syns inte mindre i nettot "
                "(förändring av genomslaget)")
    assert plain(cells[0]) == "Uppfylls"


def test_each_goal_tells_what_it_does_not_tell(pages: dict[tuple[str, str], str]) -> None:
    goals = pages["for", "sv"].split('id="goals"')[1].split("</section>")[0]
    assert goals.count('class="card"') == goals.count("<em>Säger den inte:</em>") == 4
    assert "Avtrappning" in goals and "7 av 42 grundbelopp är under noll" in plain(goals)


def test_play_is_shown_where_it_lies_and_asked_for_where_not(pages: dict[tuple[str, str], str]) -> None:
    assert row(pages["for", "en"], "table-frontier", "Run-off")[1:2] == ["17.0"]
    assert row(pages["for", "en"], "table-strategies", "More markers for those who have some") == [
        "+2.2", "+44.2", "+17.0"]
    assert row(pages["for", "en"], "table-beaten", "Own design")[-1] == "beaten"
    assert "Designs that another beats (1)" in plain(pages["for", "en"])
    assert "Manipulation has not been played on these data." in plain(pages["against", "en"])


def test_play_beside_a_run_settles_its_clause_and_other_play_is_left_alone(tmp_path: Path) -> None:
    folder, beside = make(tmp_path / "run", "files", "against", 5), tmp_path / "played"
    run = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    clauses = [c | ({"holds": False, "number": 17.0} if c["name"] == "manipulation" else {})
               for c in run["verdict"]["clauses"]]
    for place in (beside, folder.with_name(f"{folder.name}_manipulated")):
        place.mkdir()
        (place / "manipulation.json").write_text(json.dumps(played()), encoding="utf-8")
        (place / "verdict.json").write_text(json.dumps(run["verdict"] | {"clauses": clauses}), encoding="utf-8")

    name = ("No other design beats the stricter one both in fit and in resistance to manipulation "
            "(largest gain, SEK per listed month)")
    for found in (render_report(folder, "en"), render_report(folder, "en", beside)):
        assert [plain(cell) for cell in row(found, "table-verdict", name)[:2]] == ["Fails", "17.0"]
        assert 'id="frontier"' in found

    for place in (beside, folder.with_name(f"{folder.name}_manipulated")):
        (place / "manipulation.json").write_text(json.dumps(played() | {"content_hash": "other"}), encoding="utf-8")
    with pytest.raises(UserError, match="was played on other data"):
        render_report(folder, "en", beside)
    with pytest.raises(UserError, match="holds no manipulation.json"):
        render_report(folder, "en", tmp_path)
    assert read_run(folder).manipulation == {}


def test_worlds_stand_with_their_scale_and_where_the_sign_flips(pages: dict[tuple[str, str], str]) -> None:
    cells = [plain(cell) for cell in row(pages["for", "en"], "table-worlds", "gaming in English")]
    assert cells[1] == "Fails" and cells[-1] == "no"
    said = plain(pages["for", "en"])
    assert "Of 3 worlds the rule says yes in 1, no in 1, nothing sure in 1." in said
    assert "simulated with 10% of the population, 8 to 16 times, from seed 1; rule 2026-11." in said
    assert "passes a limit: weight of the dearest persons (factor) 1.25." in said


def test_every_design_trick_and_assumption_has_a_name() -> None:
    names = [*(f"designs.{d.name}" for d in read_designs()), *(f"strategies.{s.name}" for s in STRATEGIES),
             *(f"dimensions.{d.name}" for d in read_grid().dimension)]
    assert [name for lang in LANGUAGES for name in names if name not in all_texts(lang)] == []


def test_the_checklist_is_the_same_in_both_languages_and_leads_somewhere(pages: dict[tuple[str, str], str]) -> None:
    for guideline in ("tripod", "ademp"):
        sv, en = ([(number, where, bool(remark))
                   for number, _, where, remark in all_texts(lang)[f"checklist.{guideline}"]] for lang in LANGUAGES)
        assert sv == en and all(where or remark for _, where, remark in sv)
    items = pages["for", "en"].split('id="table-tripod"')[1].split("</table>")[0]
    assert items.count('<a href="#') > 40 and "Not part of this run" not in items


def test_strips_change_where_the_sign_does() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", today="low", proposal="high")
    ax = figures.sign_flips([("a", [0, 1], [-1, 3]), ("b", [0, 1], [-2, -1])], words, ax=Figure().subplots())
    strips = [(bar.get_y() > 0.5, round(bar.get_x(), 2), round(bar.get_width(), 2), bar.get_hatch())
              for bar in ax.patches]
    assert strips == [(True, 0, 0.25, ""), (True, 0.25, 0.75, "////"), (False, 0, 1, "")]


def test_the_funnel_widens_with_chance() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", rank="chance", band="95", spread="99.8", today="beyond")
    ax = figures.funnel([0, 50], [4, 5], [False, True], words, target=1.0, tau2=9.0,
                        ax=Figure(figsize=(7, 3)).subplots())
    inner, outer = (line.get_ydata() for line in ax.lines[1:4:2])
    assert inner[0] == pytest.approx(1 + 1.959964 * 3) and outer[0] == pytest.approx(1 + 3.090232 * 3)
    assert inner[-1] == pytest.approx(1 + 1.959964 * math.hypot(5 * 1.05, 3))
    assert [len(dots.get_offsets()) for dots in ax.collections] == [1, 1]


def test_parts_of_the_spread_end_where_their_sum_does() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="variance")
    ax = figures.spread_parts(["Today", "Proposal"], {"a": [4, 4], "b": [2, 1], "c": [3, 0]}, words,
                              ax=Figure(figsize=(7, 2)).subplots())
    assert [bar.get_x() + bar.get_width() for bar in ax.patches] == [4, 4, 6, 5, 9, 5]


def test_a_rule_on_top_of_the_usual_one_says_only_what_it_adds(pages: dict[tuple[str, str], str]) -> None:
    for lang, usual, added in (("sv", "Regel om inget annat står: Uthämtad i återblicken.",
                                "Regel enligt noten. C08 räknas inte då."),
                               ("en", "The rule where nothing else is said: Dispensed in the look-back.",
                                "Rule as in the note. C08 do not count then.")):
        page = pages["for", lang]
        whys = re.findall(r'<span class="why">(.*?)</span>', page[page.index('id="table-add-ons"'):])
        assert [why for why in whys if "C08" in why] == [added]
        assert plain(page).count(usual) == 1


def test_add_ons_stand_with_their_intervals_and_designs_where_they_are() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK")
    ax = figures.weights(["a", "b"], [100, 10], [10, 5], words, ax=Figure(figsize=(7, 2)).subplots())
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == [[90, 110], [5, 15]]
    ax = figures.frontier([6, 4], [2, 44], ["Today", "Proposal"], ["today", "beaten"], words,
                          ax=Figure(figsize=(7, 3)).subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "3", "10", "30"]
    assert [text.get_text() for text in ax.texts] == ["Today"]  # what another beats has no name
    assert sorted(tuple(dots.get_offsets()[0]) for dots in ax.collections) == [(4, 44), (6, 2)]


@pytest.mark.parametrize(("lang", "units"), [("sv", r"kr per listad månad|ett halvår, kr|1 000 personer"),
                                            ("en", r"SEK per listed month|half a year, SEK|1,000 persons")])
def test_every_figure_tells_its_unit(pages: dict[tuple[str, str], str], lang: str, units: str) -> None:
    told = re.findall(r'<figure id="([^"]+)">.*?<figcaption>(.*?)</figcaption>', pages["undecided", lang], re.DOTALL)
    assert len(told) > 9 and [name for name, caption in told if not re.search(units, caption)] == []


def test_names_of_designs_lie_neither_on_each_other_nor_on_a_point() -> None:
    from itertools import combinations

    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = Figure(figsize=(7.4, 4.2))
    loss, gain = [2.4, 2.6, 2.8, 2.82, 2.85, 2.9, 3.4, 4.1, 7.3], [28, 44, 24, 30, 27, 17.6, 12.2, 9.8, 2.3]
    names = [f"A design with a longer name, number {k}" for k in range(9)]
    looks = ["other", "proposal", "other", "beaten", "beaten", "chosen", "other", "other", "today"]
    ax = figures.frontier(loss, gain, names, looks, Words(Numbers("en").number, value="SEK"), ax=figure.subplots())
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # an annotation counts the line to its point
    assert len(boxes) == 7 and not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    dots = [ax.transData.transform(at) for at in zip(loss, gain, strict=True)]
    assert not [at for at in dots for box in boxes if box.contains(*at)]


def test_slopes_tell_gain_from_loss_and_phase_in_is_by_year() -> None:
    from matplotlib.figure import Figure

    words = Words(Numbers("en").number, value="SEK", today="before", proposal="after", band="gains", spread="loses")
    ax = figures.slopes([0, 5, 1], [3, 2, 1], words, ax=Figure(figsize=(7, 3)).subplots())
    assert [(line.get_ydata()[0], line.get_linestyle()) for line in ax.lines[:-1]] == [
        (0, "-"), (1, "-"), (5, "--")]  # the last is the line at 0
    ax = figures.phase_in([1, 2], [-10, -5], [-1, math.nan], words, ax=Figure(figsize=(7, 3)).subplots())
    assert ax.lines[0].get_xydata().tolist() == [[1, -10], [2, -5]]
