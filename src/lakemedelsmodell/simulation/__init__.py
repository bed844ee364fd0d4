"""A region that could be Skåne: persons with diseases, centres with habits, dispensings with prices and fees."""

from __future__ import annotations

from lakemedelsmodell.simulation.drawing import Simulation, simulate
from lakemedelsmodell.simulation.scenario import Scenario, load_scenario, shipped_scenarios

__all__ = ["Scenario", "Simulation", "load_scenario", "shipped_scenarios", "simulate"]
