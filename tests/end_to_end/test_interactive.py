"""The interactive page in a real browser: kronor as ``explain`` gives them, sums that hold, nothing sent for."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_run import make
from lakemedelsmodell.amounts import AmountTable, models_in, published_table, read_amounts
from lakemedelsmodell.cli import app
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.facts import BAND_LABELS
from lakemedelsmodell.report.interactive import render_page, write_pages

NASTY = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> & Söner"
LANGS = ("sv", "en")


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run whose first centre has a name that would run if it were read as markup."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("results.json", "amounts.csv", "centres.csv", "contributions.csv"):
        shutil.copy(tiny_run / name, folder)
    rows = rows_of(folder / "centres.csv")
    for row in rows:
        if row["centre_id"] == rows[0]["centre_id"]:
            row["name"] = NASTY
    with (folder / "centres.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_pages(folder)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def embedded(page: str) -> dict[str, Any]:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[0])


def number(text: str, lang: str = "en") -> float:
    """What a cell says; nan for a dash."""
    bare = re.sub(r"[\s\u00a0\u202f+]", "", text).replace("−", "-")
    return float("nan") if bare == "–" else float(bare.replace(",", "." if lang == "sv" else ""))


# Without a browser ---------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_texts_and_the_same_places_to_fill():
    def flat(lang: str) -> dict[str, list[str]]:
        tree = tomllib.loads((files("lakemedelsmodell.report") / "texts" / f"page.{lang}.toml").read_text("utf-8"))
        return {f"{part}.{key}": sorted(re.findall(r"\{\w+\}", str(text))) + [str(isinstance(text, list))]
                for part, of in tree.items() for key, text in of.items()}

    assert flat("sv") == flat("en")


@pytest.mark.parametrize("lang", LANGS)
def test_every_text_is_used(lang: str):
    place = files("lakemedelsmodell.report")
    tree = tomllib.loads((place / "texts" / f"page.{lang}.toml").read_text("utf-8"))
    script, template = ((place / "templates" / f"interactive.{kind}").read_text("utf-8") for kind in ("js", "html"))
    idle = [key for key in tree["js"] if not re.search(rf"words\.{key}\b|\"{key}\"|words\[.*\"{key}\"", script)]
    idle += [f"{part}.{key}" for part in ("page", "calc", "find", "limits") for key in tree[part]
             if not re.search(rf"t\.{part}(\.{key}\b|\[\"{key}\"\])|other\.{key}\b", template)]
    assert idle == []
    asked = set(re.findall(r"words\.(\w+)|say\(\"(\w+)\"", script))
    assert {a or b for a, b in asked} <= set(tree["js"])


def test_a_page_is_one_small_file_without_addresses_and_the_same_each_time(run: Path):
    for lang in LANGS:
        page = (run / f"page.{lang}.html").read_text(encoding="utf-8")
        assert page == render_page(run, lang)
        written = page.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"<link|<img|@import|url\(|https?:", written)
        assert page.count("<script") == 2 and len(page) < 500_000
        assert f'href="page.{"en" if lang == "sv" else "sv"}.html"' in page


def test_one_language_alone_links_to_no_other(run: Path, tmp_path: Path):
    assert 'class="language"' not in render_page(run, "sv", ["sv"])
    with pytest.raises(UserError, match="Languages: sv, en"):
        render_page(run, "de")


def test_nothing_on_the_page_is_about_fewer_than_five_persons(run: Path, tmp_path: Path):
    folder = shutil.copytree(run, tmp_path / "few")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    rare = results["conditions"][0]["name"]
    results["conditions"][0]["persons"] = 3
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    rows = rows_of(folder / "centres.csv")
    for row in rows[:1]:
        row["listed_months"] = "29.0"
    with (folder / "centres.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    data = embedded(render_page(folder, "en"))

    assert rare not in {c["name"] for c in data["conditions"]}
    assert not any(rare in m["add_ons"] for m in data["models"])
    assert rows[0]["centre_id"] not in {c["id"] for c in data["centres"]} and data["hidden"] == 1
    assert not any(rows[0]["centre_id"] in of for of in data["parts"]["ore"].values())
    bands = results["models"]["chronic"]["predictive_ratios"]
    rare_bands = [i for i, band in enumerate(BAND_LABELS) if f"age:{band}" in bands
                  and (bands[f"age:{band}"]["persons"] or 0) < 10]
    chronic = next(m for m in data["models"] if m["key"] == "chronic")
    assert rare_bands and all(chronic["cells"][sex][b] is None for sex in "KM" for b in rare_bands)


def test_a_reduced_table_has_no_page(tmp_path: Path):
    folder = make(tmp_path, "cohort", "for", 20)
    assert write_pages(folder) == []
    with pytest.raises(UserError, match="no page"):
        render_page(folder, "sv")


def test_a_run_without_contributions_still_has_a_page(tmp_path: Path):
    folder = make(tmp_path, "files", "for", 20)
    for lang in LANGS:
        data = embedded(render_page(folder, lang))
        assert data["parts"]["ore"] == {} and len(data["centres"]) + data["hidden"] == 20


# In Chromium ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        assert os.environ.get("BROWSER_TESTS") != "required", "chromium and chromedriver are not here"
        pytest.skip("chromium and chromedriver are not here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--force-prefers-reduced-motion"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def opened(browser: Any, run: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page at a width; afterwards nothing may have been complained of or sent for."""
    places = set()

    def page(lang: str = "en", width: int = 1100, folder: Path = run, mark: str = "") -> Any:
        browser.get("about:blank")
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500})
        place = (folder / f"page.{lang}.html").as_uri()
        places.add(place)
        browser.get(place + mark)
        return browser

    yield page
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert places <= {url.partition("#")[0] for url in asked}
    assert {url.partition("#")[0] for url in asked} - {"about:blank"} <= places


def cells(browser: Any, table: str) -> list[list[str]]:
    return browser.execute_script("""return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]
        .map(row => [...row.children].map(cell => cell.innerText))""", table)


def choose(browser: Any, name: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    field = browser.find_element(By.ID, "find")
    field.clear()
    field.send_keys(name, Keys.ARROW_DOWN, Keys.ENTER)


def tables(run: Path) -> dict[str, AmountTable]:
    return {"age_sex_published": published_table(2026),
            **{m: read_amounts(run / "amounts.csv", m) for m in models_in(run / "amounts.csv") if m != "flat"}}


TOTALS = """
const done = [];
for (const [age, sex, held, model] of arguments[0]) {
  const form = document.getElementById("calculator");
  form.elements.age.value = age;
  form.elements.sex.value = sex;
  for (const box of form.querySelectorAll("[name=condition]")) box.checked = held.includes(box.value);
  document.getElementById("model").value = model;
  form.dispatchEvent(new Event("input"));
  done.push([...document.querySelectorAll("#sum-table tr.total td")].map(cell => cell.innerText));
}
return done;
"""


def test_a_hundred_random_persons_give_the_same_kronor_as_explain(opened: Callable[..., Any], run: Path):
    rng, known = random.Random(7), tables(run)
    data = embedded((run / "page.en.html").read_text(encoding="utf-8"))
    names, shown = [c["name"] for c in data["conditions"]], {m["key"]: m for m in data["models"]}
    models = [m for m in shown if m not in ("age_sex_published", "count")]  # explain takes no conditions by count
    persons: list[tuple[int, str, list[str], str]] = []
    while len(persons) < 100:
        model, age, sex = rng.choice(models), rng.randint(0, 110), rng.choice("KM")
        held = rng.sample(names, rng.choice((0, 1, 2, 4, 8, len(names))))
        if shown[model]["cells"][sex][min(age // 5, 20)] is not None:
            persons.append((age, sex, held, model))
    assert {m for *_, m in persons} == set(models)

    found = opened().execute_script(TOTALS, persons)

    runner = CliRunner()
    for (age, sex, held, model), totals in zip(persons, found, strict=True):
        asked = held if known[model].conditions else []
        call = ["explain", "--age", str(age), "--sex", sex, "--amounts", str(run / "amounts.csv"), "--model", model,
                *(f"--condition={c}" for c in asked)]
        said = runner.invoke(app, call)
        assert said.exit_code == 0, said.output
        total = next(line for line in said.stdout.splitlines() if line.startswith("Total")).split()[1:]
        assert [number(x) for x in totals] == [float(x.replace(",", "")) for x in total], (age, sex, held, model)


def test_persons_paid_by_their_number_of_conditions_get_what_the_table_says(opened: Callable[..., Any], run: Path):
    table = tables(run)["count"]
    names = [c["name"] for c in embedded((run / "page.en.html").read_text(encoding="utf-8"))["conditions"]]
    persons = [(age, "K", names[-k:] if k else [], "count") for age in (20, 67) for k in (0, 1, 3, 4, 9)]
    found = opened().execute_script(TOTALS, persons)
    assert [number(total) for _, total in found] == [table.amount(age, sex, held) for age, sex, held, _ in persons]


def test_the_page_opens_on_the_regions_example(opened: Callable[..., Any], run: Path):
    from selenium.webdriver.common.by import By

    browser = opened("sv")
    examples = json.loads((run / "results.json").read_text(encoding="utf-8"))["examples"]
    for row, example in zip(cells(browser, "examples-table"), examples, strict=True):
        assert row[0].startswith(example["who"])
        totals = [example["models"][model]["total"] for model in ("age_sex_published", "chronic")]
        assert [number(x, "sv") for x in row[2:]] == totals
    parts = [number(row[2], "sv") for row in cells(browser, "sum-table")]
    anders = examples[1]["models"]["chronic"]
    assert parts[:-2] == [part["sek"] for part in anders["parts"]] and parts[-2] == anders["total"]
    assert len(browser.find_elements(By.CSS_SELECTOR, ".track > span:not(.zero)")) == 1 + len(anders["parts"])
    browser.find_element(By.CSS_SELECTOR, ".example").click()
    assert number(cells(browser, "sum-table")[0][2], "sv") == examples[0]["models"]["chronic"]["total"]


def test_a_person_who_changes_centre_takes_the_sum_along_month_by_month(opened: Callable[..., Any]):
    from selenium.webdriver.support.ui import Select

    browser = opened()
    monthly = number(cells(browser, "sum-table")[-2][2])
    for months in (1, 4, 6):
        Select(browser.find_element("id", "move")).select_by_value(str(months))
        *rows, last = cells(browser, "months-table")
        assert [number(a) if a else None for _, a, _ in rows] == [monthly] * months + [None] * (6 - months)
        assert [number(b) if b else None for _, _, b in rows] == [None] * months + [monthly] * (6 - months)
        assert [number(x) for x in last[1:]] == [months * monthly, (6 - months) * monthly]


@pytest.mark.parametrize("lang", LANGS)
def test_a_centres_parts_sum_to_what_it_is_paid_to_the_ore(opened: Callable[..., Any], run: Path, lang: str):
    browser = opened(lang)
    paid = {(row["centre_id"], row["model"]): row for row in rows_of(run / "centres.csv")}
    for centre in {k for k, _ in paid}:
        browser.execute_script("location.hash = arguments[0]", f"#vc={centre}")
        browser.execute_script("return new Promise(done => setTimeout(done))")
        *rows, total = cells(browser, "why-table")
        for column, model in ((1, "age_sex"), (2, "chronic")):
            ore = [round(100 * number(row[column], lang)) for row in rows if row[column]]
            reimbursement = round(100 * float(paid[centre, model]["reimbursement_sek"]))
            assert sum(ore) == round(100 * number(total[column], lang)) == reimbursement


def test_a_centres_nets_places_and_intervals_are_those_of_the_run(opened: Callable[..., Any], run: Path):
    rows = rows_of(run / "centres.csv")
    browser, centre = opened(mark=f"#vc={rows[-1]['centre_id']}"), rows[-1]["centre_id"]
    shown = cells(browser, "nets-table")
    # A net that rests on fewer than five persons is blank in the file and left out of the page.
    here = {row["model"]: row for row in rows if row["centre_id"] == centre and row["net_sek_per_listed_month"]}
    assert len(shown) == len(here) > 10
    for cell, model in zip(shown, ("age_sex_published", "age_sex", "chronic"), strict=False):
        nets = [float(row["net_sek_per_listed_month"]) for row in rows if row["model"] == model]
        net, error = (float(here[model][k]) for k in ("net_sek_per_listed_month", "standard_error"))
        assert number(cell[1]) == pytest.approx(net, abs=0.051)
        assert cell[2] == f"{1 + sum(other > net for other in nets)} / {len(nets)}"
        assert [number(x) for x in cell[3].split(" to ")] == pytest.approx(
            [net - 1.96 * error, net + 1.96 * error], abs=0.051)
        assert number(cell[4]) == pytest.approx(float(here[model]["net_sek"]) / 1000, abs=0.51)
    lasting = f"{100 * float(here['chronic']['reliability']):.0f}%"
    assert lasting in browser.find_element("id", "chosen").text or float(here["chronic"]["reliability"]) == 0


def test_a_script_in_a_name_is_shown_and_not_run(opened: Callable[..., Any]):
    browser = opened()
    title = browser.title
    choose(browser, "Söner")
    assert browser.find_element("id", "centre-name").text.startswith(NASTY)
    assert browser.title == title
    assert browser.execute_script("return document.querySelectorAll('script, img').length") == 2


@pytest.mark.parametrize("lang", LANGS)
def test_by_keyboard_alone(opened: Callable[..., Any], lang: str):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser = opened(lang)

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    def focused(what: str) -> str:
        return browser.execute_script(f"return document.activeElement.{what}")

    def tab_to(ident: str) -> None:
        for _ in range(60):
            press(Keys.TAB)
            outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", focused("outerHTML")
            if ident in (focused("id"), focused("value")):
                return
        pytest.fail(f"Tab never reaches {ident}")

    tab_to("age")
    press(*[Keys.BACKSPACE] * 3, "72")
    tab_to("M")
    press(Keys.ARROW_LEFT)
    assert focused("value") == "K"
    tab_to("hypertoni")
    press(Keys.SPACE)
    assert "72" in browser.find_element("id", "in-words").text
    assert browser.find_element("css selector", "[value=hypertoni]").is_selected()
    tab_to("find")
    press("vård", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    active = browser.find_element("id", focused("getAttribute('aria-activedescendant')"))
    assert active.get_attribute("aria-selected") == "true"
    name = active.text
    press(Keys.ENTER)
    assert focused("getAttribute('aria-expanded')") == "false"
    assert browser.find_element("id", "centre-name").text.startswith(name)
    press(Keys.ARROW_DOWN, Keys.ESCAPE)
    assert not browser.find_element("id", "found").is_displayed()


def test_an_age_that_is_none_is_told_and_changes_nothing(opened: Callable[..., Any]):
    browser = opened()
    age, before = browser.find_element("id", "age"), cells(browser, "sum-table")
    for wrong in ("", "131", "-4", "6.5"):
        browser.execute_script("""arguments[0].value = arguments[1];
            arguments[0].dispatchEvent(new Event("input", {bubbles: true}))""", age, wrong)
        assert "0 to 130" in browser.find_element("id", "age-error").text
        assert age.get_attribute("aria-invalid") == "true"
        assert cells(browser, "sum-table") == before


@pytest.mark.parametrize("lang", LANGS)
def test_a_phone_of_360_pixels_needs_no_scrolling_sideways(opened: Callable[..., Any], lang: str):
    browser = opened(lang, width=360)
    choose(browser, "Söner")
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    wide = """return [...document.querySelectorAll("#sum, #examples, #months")].map(part => part.firstChild)
              .filter(part => part.scrollWidth > part.clientWidth).length"""
    assert browser.execute_script(wide) == 0


NAMELESS = """
const named = e => e.labels?.length || e.getAttribute("aria-label")
  || (!["listbox", "region"].includes(e.getAttribute("role")) && e.innerText.trim());
return [...document.querySelectorAll("input, select, button, a, summary, [role], [tabindex]")]
  .filter(e => !["status", "alert"].includes(e.getAttribute("role")) && !named(e)).map(e => e.outerHTML);
"""
PALE = """
const shade = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = e => { for (; e; e = e.parentElement) {
  const colour = getComputedStyle(e).backgroundColor;
  if (!/, 0\\)/.test(colour)) return colour;
} return "rgb(255, 255, 255)"; };
const pale = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility() || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
  const [a, b] = [shade(getComputedStyle(e).color), shade(behind(e))];
  if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) pale.push(e.outerHTML);
}
return pale;
"""


def test_everything_has_a_name_and_text_stands_out(opened: Callable[..., Any]):
    browser = opened(width=360)
    choose(browser, "Söner")
    browser.find_element("css selector", "#rules summary").click()
    assert browser.execute_script(NAMELESS) == []
    assert browser.execute_script(PALE) == []
    assert browser.execute_script("""return [...document.querySelectorAll("[aria-controls], [aria-describedby]")]
        .flatMap(e => [e.getAttribute("aria-controls"), e.getAttribute("aria-describedby")])
        .filter(id => id && !document.getElementById(id))""") == []


def test_a_centre_can_be_linked_to_and_follows_to_the_other_language(opened: Callable[..., Any], run: Path):
    centre = rows_of(run / "centres.csv")[0]["centre_id"]
    browser = opened("sv", mark=f"#vc={centre}")
    assert browser.find_element("id", "centre-name").text.startswith(NASTY)
    link = browser.find_element("css selector", ".language").get_attribute("href")
    assert link.endswith(f"page.en.html#vc={centre}")
