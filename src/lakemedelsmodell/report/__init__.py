"""One run folder → a self-contained HTML page per language and a workbook. The report formats; it computes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.report.contents import Contents, read_run
from lakemedelsmodell.report.interactive import render_page, write_pages
from lakemedelsmodell.report.texts import LANGUAGES

__all__ = ["LANGUAGES", "render_page", "render_report", "write_pages", "write_reports"]


def render_report(folder: str | Path, lang: str, manipulation: Path | None = None) -> str:
    """The report on a run folder as HTML, in ``sv`` or ``en``.

    Reads results.json, centres.csv, amounts.csv, of a simulation calibration.json, and what ``manipulate`` found
    (:func:`~lakemedelsmodell.report.contents.read_run`). The same folder gives the same bytes. Raises UserError for an
    unknown language or a folder that is no run.
    """
    return _rendered(read_run(folder, manipulation), lang)


def _rendered(contents: Contents, lang: str) -> str:
    from lakemedelsmodell.report import assembly
    from lakemedelsmodell.report.blocks import templates
    from lakemedelsmodell.report.decision import answer
    from lakemedelsmodell.report.page import Page

    if lang not in LANGUAGES:
        raise UserError(f"There is no report in {lang!r}. Languages: {', '.join(LANGUAGES)}.")
    page = Page(contents, lang)
    html = templates().get_template("report.html").render(
        lang=lang, head=assembly.head(page), answer=answer(page), sections=assembly.sections(page))
    present = set(re.findall(r'\bid="([^"]+)"', html))
    # The words of a link to a section that this run does not have stand alone.
    return re.sub(r'<a href="#([^"]+)">(.*?)</a>', lambda a: a[0] if a[1] in present else a[2], html)


def write_reports(folder: str | Path, langs: Sequence[str] = LANGUAGES, *, out: Path | None = None,
                  manipulation: Path | None = None) -> list[Path]:
    """Write ``report.<lang>.html`` for every language, results.xlsx and ``page.<lang>.html``; returns the reports.

    ``out`` is where, the run folder itself if None; ``manipulation`` as for :func:`render_report`.
    """
    from lakemedelsmodell.report.results_workbook import FILE, write_workbook

    target, contents, paths = Path(out or folder), read_run(folder, manipulation), []
    for lang in langs:
        path = target / f"report.{lang}.html"
        path.write_text(_rendered(contents, lang), encoding="utf-8", newline="\n")
        paths.append(path)
    write_workbook(contents, target / FILE)
    write_pages(folder, langs, out=target)
    return paths
