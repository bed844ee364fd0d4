"""Mutation testing of the kernels: every small change of their code should make a test of theirs fail.

    nice -n 15 python tests/mutation/mutate.py [KERNEL ...] [--every N]

Prints each mutant that no test noticed, and the score. One process at a time, forked from one that has the libraries
loaded already: a mutant costs what its tests cost, not seconds of imports. No file is changed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
KNOWN, PROPERTY = "tests/known_answers/test_", "tests/property/test_"
KERNELS: dict[str, tuple[str, list[str]]] = {  # the module, and the tests that know what it should do
    "flags": ("data.flag_kernel", [f"{KNOWN}flags.py", f"{KNOWN}swiss_list.py", f"{PROPERTY}flags_property.py"]),
    "estimation": ("models.least_squares", [f"{KNOWN}{name}.py" for name in ("estimation", "nonnegative", "pool")]),
    "settlement": ("settlement", [f"{KNOWN}settlement.py", f"{KNOWN}pool.py", f"{KNOWN}competitors.py",
                                  f"{PROPERTY}settlement_property.py"]),
    "spread": ("measures.spread", [f"{KNOWN}spread.py", f"{KNOWN}contrasts.py"]),
}
NOT_NUMBERS = {"_repr_html_", "__repr__", "plot"}
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And}
Change = Callable[[], None]


def places(tree: ast.AST) -> Iterator[tuple[ast.expr, Change]]:
    """Every expression that can be changed, and what changes it: another operator or number, a test turned round."""
    if isinstance(tree, ast.FunctionDef) and tree.name in NOT_NUMBERS or isinstance(tree, (ast.Raise, ast.JoinedStr)):
        return
    match tree:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield tree, lambda: setattr(tree, "ops", [SWAPS[type(op)]()])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            yield tree, lambda: setattr(tree, "op", SWAPS[type(op)]())
        case ast.AugAssign(op=op) if type(op) in SWAPS:
            yield tree, lambda: setattr(tree, "op", SWAPS[type(op)]())  # type: ignore[misc]
        case ast.UnaryOp(op=op):  # twice is not at all
            yield tree, lambda: setattr(tree, "operand", ast.UnaryOp(op, tree.operand))
        case ast.Constant(value=bool() as value):
            yield tree, lambda: setattr(tree, "value", not value)
        case ast.Constant(value=int() | float() as number):
            yield tree, lambda: setattr(tree, "value", number + 1)
        case ast.IfExp() | ast.If(test=ast.Compare() | ast.Call() | ast.BoolOp()):
            yield tree, lambda: setattr(tree, "test", ast.UnaryOp(ast.Not(), tree.test))  # type: ignore[misc]
    for name, of in ast.iter_fields(tree):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in of if isinstance(of, list) else [of]:
                if isinstance(child, ast.AST):
                    yield from places(child)


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from another tree than its file's."""

    def __init__(self, name: str, tree: ast.Module, file: Path):
        self.name, self.tree, self.file = name, tree, file

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self, origin=str(self.file)) if name == self.name else None

    def exec_module(self, module):
        exec(compile(ast.fix_missing_locations(self.tree), self.file, "exec"), module.__dict__)


def outcome(finder: Mutated | None, tests: list[str], seconds: float) -> str:
    """``survived``, ``killed`` or ``endless``: what the tests say in a process of their own."""
    child = os.fork()
    if not child:
        signal.alarm(int(seconds) + 1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if finder:
            sys.meta_path.insert(0, finder)
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore", *tests])))
    _, status = os.waitpid(child, 0)
    return "endless" if os.WIFSIGNALED(status) else "killed" if os.WEXITSTATUS(status) else "survived"


def run(kernel: str, every: int) -> None:
    module, tests = KERNELS[kernel]
    file = PROJECT / "src" / "lakemedelsmodell" / f"{module.replace('.', '/')}.py"
    source = file.read_text(encoding="utf-8")
    begun = time.perf_counter()
    if outcome(None, tests, 3600) != "survived":
        sys.exit(f"{kernel}: its tests fail without any change")
    limit = 10 * (time.perf_counter() - begun) + 30
    found = {"survived": 0, "killed": 0, "endless": 0}
    for number in range(0, sum(1 for _ in places(ast.parse(source))), every):
        tree = ast.parse(source)
        node, change = list(places(tree))[number]
        before = ast.unparse(node)
        change()
        said = outcome(Mutated(f"lakemedelsmodell.{module}", tree, file), tests, limit)
        found[said] += 1
        if said == "survived":
            print(f"{kernel}, line {node.lineno}: {before.splitlines()[0]}  →  {ast.unparse(node).splitlines()[0]}",
                  flush=True)
    total = sum(found.values())
    print(f"{kernel}: {total - found['survived']} of {total} mutants noticed, {found['endless']} of them by time; "
          f"{time.perf_counter() - begun:.0f} s", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("kernels", nargs="*", choices=[*KERNELS, []], default=list(KERNELS))
    asked.add_argument("--every", type=int, default=1, help="only every so many-th mutant")
    given = asked.parse_args()
    os.chdir(PROJECT)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                   "HYPOTHESIS_STORAGE_DIRECTORY": tempfile.mkdtemp(prefix="mutation-")}
    for library in ("hypothesis", "ibis", "duckdb", "pandas", "pyarrow.parquet", "scipy.optimize", "scipy.stats",
                    "statsmodels.api", "pydantic"):
        importlib.import_module(library)
    for kernel in given.kernels:
        run(kernel, given.every)


if __name__ == "__main__":
    main()
