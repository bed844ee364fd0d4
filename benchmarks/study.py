"""What one replicate of a study costs, against drawing its random numbers alone in the same run.

    python benchmarks/study.py [--scale 1.0 0.1] [--world skane_2026h1]

The floor draws as many numbers as the replicate did, of the same kinds, and does nothing with them. CPU seconds are of
all threads: on a busy machine they tell more than the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import threading
import time
from collections import Counter

import numpy as np

from lakemedelsmodell.simulation import load_scenario, population, prescribing, streams, truth, world
from lakemedelsmodell.study import replicate

DRAWING = (streams, population, prescribing, truth, world)
"""Modules that draw by index."""


class Counted:
    """Counts the numbers drawn while it is in force."""

    def __init__(self) -> None:
        self.drawn: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Counter[str]:
        self._uniform = streams.uniform

        def uniform(counter: np.ndarray, draw: int = 0) -> np.ndarray:
            with self._lock:
                self.drawn["keyed"] += np.size(counter)
            return self._uniform(counter, draw)

        for module in DRAWING:
            module.uniform = uniform  # type: ignore[attr-defined]
        return self.drawn

    def __exit__(self, *_: object) -> None:
        for module in DRAWING:
            module.uniform = self._uniform  # type: ignore[attr-defined]


def cpu() -> float:
    """CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def floor(persons: int, keyed: int) -> float:
    """Seconds on one core to draw a normal per person × disease, a uniform per person × drug group, and the rest."""
    from lakemedelsmodell import facts

    diseases, groups = len(facts.diseases()), len(facts.drug_groups())
    stream, by_index = streams.generator("floor", 1), streams.Keyed("floor", 1)
    start = time.process_time()
    for first in range(0, persons, 8000):  # a centre at a time, as the simulator does
        n = min(8000, persons - first)
        stream.standard_normal((n, diseases), dtype=np.float32)
        stream.random((n, groups), dtype=np.float32)
    for first in range(0, keyed, 100_000):
        by_index.uniform(np.arange(first, min(first + 100_000, keyed)))
    return time.process_time() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--world", default="skane_2026h1")
    options.add_argument("--scale", type=float, nargs="+", default=[0.1, 1.0])
    given = options.parse_args()
    scenario = load_scenario(given.world)
    replicate(scenario, scenario.seed, 0.005)  # whatever is imported and read once
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load "
          f"{os.getloadavg()[0]:.1f}")
    for scale in given.scale:
        with Counted() as drawn:
            replicate(scenario, scenario.seed, scale)
        began, used = time.perf_counter(), cpu()
        done = replicate(scenario, scenario.seed, scale)
        wall, used = time.perf_counter() - began, cpu() - used
        region = done.measures["region"]
        persons, keyed = int(region["persons"]), drawn["keyed"]
        bare = floor(persons, keyed)
        print(f"\nScale {scale:g}: {persons:,} persons, {len(done.measures) - 1} models")
        print("\n| part | seconds |\n|---|---:|")
        for part, seconds in done.seconds.items():
            print(f"| {part} | {seconds:.2f} |")
        print(f"| **one replicate** | **{wall:.2f}** |")
        print(f"| CPU, both cores | {used:.2f} |")
        print(f"| drawing its {keyed / 1e6:.0f} million keyed and {persons * 89 / 1e6:.0f} million sequential numbers "
              f"alone, one core | {bare:.2f} |")
        print(f"\nCPU is {used / bare:.1f} times that of drawing the numbers.")


if __name__ == "__main__":
    main()
