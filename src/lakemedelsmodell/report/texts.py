"""The words of the report: one TOML file per language, the same keys in each."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

LANGUAGES = ("sv", "en")


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


@lru_cache
def texts_of(name: str, lang: str) -> dict[str, Any]:
    """Dotted key → text (or list of texts) of one page in one language; the report's own page has no name."""
    source = files("lakemedelsmodell.report") / "texts" / f"{name}.{lang}.toml".removeprefix(".")
    return _flat(tomllib.loads(source.read_text(encoding="utf-8")))


def all_texts(lang: str) -> dict[str, Any]:
    """The report's texts, see :func:`texts_of`."""
    return texts_of("", lang)


class Texts:
    """One language's texts for one kind of run; ``used`` remembers which, so that a test can find idle ones.

    The words that differ between kinds of run (the section named as the kind) fill their placeholders by
    themselves, and a text with a twin named ``…_cohort`` gives way to it in a cohort run.
    """

    def __init__(self, lang: str, kind: str):
        self.lang, self.kind = lang, kind
        self.used: set[str] = set()
        self._texts = all_texts(lang)
        self._words: dict[str, object] = {
            k.removeprefix(f"{kind}."): v for k, v in self._texts.items() if k.startswith(f"{kind}.") and "{" not in v}

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def _twin(self, key: str) -> str:
        return twin if self.kind == "cohort" and (twin := f"{key}_cohort") in self._texts else key

    def _find(self, key: str) -> str:
        key = self._twin(key)
        self.used |= {key} | {f"{self.kind}.{word}" for word in self._words if f"{{{word}}}" in self._texts[key]}
        return self._texts[key]

    def __call__(self, key: str, **values: object) -> Markup:
        """The text with its ``{placeholders}`` filled; values are escaped, the text may hold HTML.

        Raises KeyError for an unknown key or a placeholder without a value.
        """
        return Markup(self._find(key)).format(**self._filled(values))

    def plain(self, key: str, **values: object) -> str:
        """As text for a figure or an attribute, where nothing is HTML."""
        return self._find(key).format(**self._filled(values))

    def _filled(self, values: dict[str, object]) -> dict[str, object]:
        return self._words | values

    def listed(self, key: str) -> list[Any]:
        """A list of texts or of pairs."""
        key = self._twin(key)
        self.used.add(key)
        return list(self._texts[key])

    def name(self, family: str, key: str) -> str:
        """The label of a known key of a family (models, measures …); of an unknown one, the key in words."""
        full = f"{family}.{key}"
        return self.plain(full) if full in self else key.replace("_", " ")
