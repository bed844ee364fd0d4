"""What was played on, and the verdict that play completes: on the same data, or in the same world."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakemedelsmodell.errors import UserError
from lakemedelsmodell.evaluation.schema import RESULTS
from lakemedelsmodell.folders import MANIFEST
from lakemedelsmodell.verdict import ManipulationFinding, Verdict, judge_results, read_rule

if TYPE_CHECKING:
    from lakemedelsmodell.manipulation.results import Manipulation
    from lakemedelsmodell.simulation import Scenario

PLAYED = "manipulation.json"


def origin_of_world(scenario: Scenario, seed: int | None, scale: float) -> dict[str, Any]:
    """Name and hash of a world, and the draw of it."""
    return _origin(scenario.model_dump(mode="json"), scenario.seed if seed is None else seed, scale)


def origin_of_data(data: Path) -> dict[str, Any]:
    """The same of the run that simulated ``data``; nothing is known of a region's own."""
    manifest = _read(data.parent / MANIFEST)
    return (_origin(manifest["scenario"], manifest["seed"], manifest["scale"])
            if manifest.get("kind") == "simulation" else {})


def _origin(scenario: Mapping[str, Any], seed: int, scale: float) -> dict[str, Any]:
    return {"scenario": scenario["name"], "scenario_hash": _hash(scenario), "seed": seed, "scale": scale}


def _hash(scenario: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(scenario, sort_keys=True).encode()).hexdigest()[:16]


def finding_on_data(path: Path, content_hash: str) -> ManipulationFinding:
    """What a manipulation.json, or the folder that holds one, found on the data of this hash.

    Raises UserError for another file, other data or another version.
    """
    played = _played(path)
    if played.get("content_hash") != content_hash:
        raise UserError(f"{path} was played on other data {_short(played.get('content_hash'))} than these "
                        f"{_short(content_hash)}. Run manipulate on these.")
    return ManipulationFinding.read(played["clause"])


def findings_in_worlds(paths: Sequence[Path], worlds: Sequence[Scenario]) -> dict[str, ManipulationFinding]:
    """World → what was found by playing in it.

    Raises UserError for another file, a world that is none of these or that two files are of, or another version.
    """
    known = {_hash(world.model_dump(mode="json")): world.name for world in worlds}
    found: dict[str, ManipulationFinding] = {}
    for path in paths:
        played = _played(path)
        if (name := known.get(str(played.get("scenario_hash")))) is None:
            of = ", ".join(f"{name} {_short(key)}" for key, name in known.items()) or "none"
            where = f"the world {played['scenario']}" if played.get("scenario") else "data of no known world"
            raise UserError(f"{path} was played in {where} {_short(played.get('scenario_hash'))}, but the study is of "
                            f"{of}. Run manipulate in one of these.")
        if name in found:
            raise UserError(f"{path} is the second play in the world {name}. Give one per world.")
        finding = ManipulationFinding.read(played["clause"])
        found[name] = replace(finding, detail=f"{finding.detail}; one draw, seed {played['seed']}, scale "
                              f"{played['scale']:g}")
    return found


def verdict_beside(data: Path, found: Manipulation) -> Verdict | None:
    """The verdict on the run whose data these are, play included; None where there is none of this version, of the
    same rows and the same period."""
    results = _read(data.parent / RESULTS)
    run, settings = results.get("run", {}), results.get("settings", {})
    if (run.get("content_hash"), settings.get("period"), run.get("versions", {}).get("lakemedelsmodell")) != (
            found.told["content_hash"], found.told["period"], version("lakemedelsmodell")):
        return None
    return judge_results(read_rule(), results, world=settings["period"], manipulation=found.finding())


def _played(path: Path) -> dict[str, Any]:
    """A manipulation.json of this version."""
    file = path / PLAYED if path.is_dir() else path
    played = _read(file)
    if not {"clause", "versions"} <= played.keys():
        raise UserError(f"{file} is no {PLAYED}. Give what manipulate wrote.")
    if (then := played["versions"].get("lakemedelsmodell")) != (now := version("lakemedelsmodell")):
        raise UserError(f"{file} was played by version {then}, but this is {now}. Run manipulate again.")
    return played


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(content: str | None) -> str:
    return f"({content[:12]}…)" if content else "(no hash)"
