"""Mutation testing of the kernels: every small change of their code should make a test of theirs fail.

    nice -n 15 python tests/mutation/mutate.py [KERNEL ...] [--every N] [--of FUNCTION ...]

Prints each mutant that no test noticed, and the score. One process at a time, forked from one in which pytest has
collected the tests: there the code of the mutant's functions takes the place of the functions' own. It is shown to the
tests that run through its lines, the quickest first, until one of them fails. No file is changed.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType, FunctionType

import pytest

PROJECT = Path(__file__).resolve().parents[2]
KNOWN, PROPERTY = "tests/known_answers/test_", "tests/property/test_"
FEW_ROWS = [f"{KNOWN}{name}.py" for name in ("flags", "months_and_cost", "traits", "centre_use")]
KERNELS: dict[str, tuple[str, list[str]]] = {  # the module, and the tests that know what it should do
    "flags": ("data.flags", [*FEW_ROWS, f"{KNOWN}audit.py", f"{PROPERTY}rows_property.py"]),
    "flags by person": ("data.reduction", [*FEW_ROWS, f"{PROPERTY}flags_property.py", f"{PROPERTY}rows_property.py"]),
    "stretches": ("data.stretches", [*FEW_ROWS, f"{PROPERTY}flags_property.py", f"{PROPERTY}rows_property.py"]),
    "flags of a study": ("data.flag_kernel", [f"{KNOWN}flags.py", *(f"{KNOWN}study.py::test_{name}" for name in (
        "cohorts_straight_from_blocks_are_those_of_the_tables", "conditions_require_and_yield_as_found",
        "a_condition_yields_to_one_that_itself_yields")),
        f"{KNOWN}manipulation.py::test_flags_of_the_region_are_those_of_the_tables"]),
    "estimation": ("models.least_squares", [*(f"{KNOWN}{name}.py" for name in (
        "estimation", "nonnegative", "pool", "competitors", "defended")), f"{PROPERTY}settlement_property.py"]),
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


def file_of(test: str) -> str:
    return test.partition("::")[0]


@dataclass
class Seen:
    """What the tests do without any change: the seconds each takes, and the lines of the module each runs through.

    Lines run before a test's own are those of its file (fixtures are shared), lines run on import those of ``""``.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def through(self, node: ast.expr) -> dict[str, float]:
        """Tests that run through an expression, and their seconds; all of them where it is run on import."""
        its = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        found = {place for place, lines in self.lines.items() if not set(its).isdisjoint(lines)}
        return {test: seconds for test, seconds in self.seconds.items() if found & {"", file_of(test), test}}


class Hurried:
    """A failing example is neither made smaller nor explained; the explaining would take our trace away."""

    def pytest_configure(self):
        from hypothesis import Phase, settings

        settings.register_profile("mutation", deadline=None, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutation")


class Watching(Hurried):
    """Fills ``seen`` while the tests run."""

    def __init__(self, file: Path):
        self.file, self.now, self.seen = str(file), "", Seen()
        self.found: dict[str, set[int]] = defaultdict(set)
        sys.settrace(self.trace)
        threading.settrace(self.trace)

    def trace(self, frame, event, _):
        if frame.f_code.co_filename != self.file:
            return None
        self.found[self.now].add(frame.f_lineno)
        return self.trace

    def pytest_runtest_logstart(self, nodeid):
        self.now = file_of(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        self.now = item.nodeid

    def pytest_runtest_logreport(self, report):
        self.seen.seconds[report.nodeid] = self.seen.seconds.get(report.nodeid, 0) + report.duration

    def pytest_runtest_logfinish(self):
        self.now = ""


class Slowly(Hurried):
    """Stops at the first test that fails."""

    def __init__(self, seconds: Mapping[str, float]):
        self.seconds = seconds

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.seconds]


def ask(plugin: object, tests: Iterable[str]) -> int:
    """Pytest's answer, in this process."""
    return int(pytest.main(["-x", "-qqs", "-p", "no:cacheprovider", "-W", "ignore", *tests], plugins=[plugin]))


def apart(do: Callable[[], int], seconds: int) -> int:
    """What a child of this process returns; below 0 where it was ended, as it is after so many seconds of work."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))  # a busy machine is no endless loop
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(do())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a module and of all that is defined in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def on_import(code: CodeType) -> set[int]:
    """Lines of what is outside functions."""
    return {line for of in codes(code) if not of.co_flags & inspect.CO_OPTIMIZED
            for *_, line in of.co_lines() if line}


class Mutating(Hurried):
    """Runs the tests of a kernel without any change, and then for each mutant, instead of once."""

    def __init__(self, kernel: str, module: str, every: int, functions: Sequence[str]):
        self.kernel, self.module, self.every, self.functions = kernel, module, every, functions
        self.file = PROJECT / "src" / "lakemedelsmodell" / f"{module.replace('.', '/')}.py"
        self.found = {"survived": 0, "killed": 0, "endless": 0}

    def pytest_runtestloop(self, session):
        seen, source = self.watch(session), self.file.read_text(encoding="utf-8")
        live = [of for of in gc.get_objects() if isinstance(of, FunctionType)
                and of.__code__.co_filename == str(self.file)]
        for number in self.numbers(ast.parse(source))[::self.every]:
            tree = ast.parse(source)
            node, change = list(places(tree))[number]
            before, chosen = ast.unparse(node), seen.through(node)
            change()
            outcome = self.fate(session, live, ast.parse(source), tree, chosen)
            self.found[outcome] += 1
            if outcome == "survived":
                one, other = (text.splitlines()[0] for text in (before, ast.unparse(node)))
                print(f"{self.kernel}, line {node.lineno}: {one}  →  {other}"
                      f"{'' if chosen else '  (no test runs through it)'}", flush=True)
        return True

    def numbers(self, tree: ast.Module) -> list[int]:
        """Which mutants are asked for: all, or those that lie in the functions."""
        within = [range(of.lineno, (of.end_lineno or 0) + 1) for of in ast.walk(tree)
                  if isinstance(of, ast.FunctionDef) and of.name in self.functions]
        return [i for i, (node, _) in enumerate(places(tree))
                if not self.functions or any(node.lineno in lines for lines in within)]

    def watch(self, session) -> Seen:
        with tempfile.NamedTemporaryFile("w+") as told:
            def do() -> int:
                watching = Watching(self.file)
                session.config.pluginmanager.register(watching)
                code = run(session, session.items)
                watching.seen.lines = {test: sorted(lines) for test, lines in watching.found.items()} | {
                    "": sorted(on_import(compile(self.file.read_text(encoding="utf-8"), str(self.file), "exec")))}
                json.dump(asdict(watching.seen), told)
                told.flush()
                return code

            if apart(do, 3600):
                sys.exit(f"{self.kernel}: its tests fail without any change")
            return Seen(**json.load(Path(told.name).open()))

    def fate(self, session, live: list[FunctionType], whole: ast.Module, tree: ast.Module,
             chosen: Mapping[str, float]) -> str:
        """``survived``, ``killed`` or ``endless``: what these tests, with their usual seconds, say of a mutant."""
        if not chosen:
            return "survived"
        items = sorted((i for i in session.items if i.nodeid in chosen), key=lambda item: chosen[item.nodeid])
        before, after = (codes(compile(ast.fix_missing_locations(of), str(self.file), "exec")) for of in (whole, tree))
        other = {one: other for one, other in zip(before, after, strict=True) if one != other}

        def do() -> int:
            changed = 0
            for function in live:
                if function.__code__ in other:
                    function.__code__, changed = other[function.__code__], changed + 1
            return run(session, items, chosen) if changed else self.anew(tree, chosen)

        said = apart(do, int(10 * sum(chosen.values())) + 30)
        return "endless" if said < 0 else "killed" if said else "survived"

    def anew(self, tree: ast.Module, chosen: Mapping[str, float]) -> int:
        """Where no function changes, but what is made on import: everything is imported again."""
        for name in [n for n, of in sys.modules.items() if str(getattr(of, "__file__", "")).startswith(str(PROJECT))]:
            if name != "__main__":
                del sys.modules[name]
        sys.meta_path.insert(0, Mutated(f"lakemedelsmodell.{self.module}", tree, self.file))
        return ask(Slowly(chosen), dict.fromkeys(file_of(test) for test in chosen))


def run(session, items: list, usual: Mapping[str, float] | None = None) -> int:
    """0 where all pass, 1 after the first that fails; ended by a test at work for ten times its usual seconds."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if usual:
            end = int(sum(os.times()[:2]) + 10 * usual[item.nodeid]) + 10
            resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def mutate(kernel: str, every: int, functions: Sequence[str]) -> None:
    module, tests = KERNELS[kernel]
    begun, mutating = time.perf_counter(), Mutating(kernel, module, every, functions)
    try:
        ask(mutating, tests)
    finally:
        found = mutating.found
        total = sum(found.values())
        print(f"{kernel}: {total - found['survived']} of {total} mutants noticed, {found['endless']} of them by time; "
              f"{time.perf_counter() - begun:.0f} s", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("kernels", nargs="*", choices=[*KERNELS, []], default=list(KERNELS))
    asked.add_argument("--every", type=int, default=1, help="only every so many-th mutant")
    asked.add_argument("--of", nargs="+", default=[], metavar="FUNCTION", help="only mutants of these functions")
    given = asked.parse_args()
    os.chdir(PROJECT)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                   "HYPOTHESIS_STORAGE_DIRECTORY": tempfile.mkdtemp(prefix="mutation-")}
    for library in ("hypothesis", "ibis", "duckdb", "pandas", "pyarrow.parquet", "scipy.optimize", "scipy.stats",
                    "statsmodels.api", "pydantic"):
        importlib.import_module(library)
    for kernel in given.kernels:
        mutate(kernel, given.every, given.of)


if __name__ == "__main__":
    main()
