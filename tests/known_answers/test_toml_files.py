"""A key that is not known is named with the one that was probably meant, at its place."""

import pytest
from pydantic import BaseModel, ConfigDict, Field

from lakemedelsmodell.data.toml_files import known_keys, read_checked
from lakemedelsmodell.errors import DataError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    price: float = 1.0


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    budget: float = 0
    as_: str = Field("value", alias="as")
    inner: Inner = Inner()
    many: tuple[Inner | None, ...] = ()
    named: dict[str, Other] = {}


@pytest.mark.parametrize(("text", "where", "meant"), [
    ("budgett = 1", "budgett", "budget"), ("[inner]\nprise = 2", "inner.prise", "price"),
    ("[[many]]\nprice = 1\n[[many]]\npriec = 1", "many.1.priec", "price"),
    ("[named.budget]\nname = 'x'\nnam = 'y'", "named.budget.nam", "name"),
    ("[inner]\nbudget = 1", "inner.budget", None), ("zzzzzz = 1", "zzzzzz", None), ("ass = 'x'", "ass", "as")])
def test_the_key_that_was_probably_meant(tmp_path, text: str, where: str, meant: str | None):
    (tmp_path / "mine.toml").write_text(text)

    with pytest.raises(DataError) as error:
        read_checked(Outer, tmp_path / "mine.toml", "absent", "Compare.")

    (problem,) = error.value.problems
    assert problem.column == where
    assert problem.problem == "is no key known here" + (f": perhaps {meant} is meant" if meant else "")


def test_keys_that_may_stand_at_a_place():
    assert known_keys(Outer, ()) == ["as", "budget", "inner", "many", "named"]
    assert known_keys(Outer, ("many", 3)) == known_keys(Outer, ("inner",)) == ["price"]
    assert known_keys(Outer, ("named", "anything")) == ["name"]
