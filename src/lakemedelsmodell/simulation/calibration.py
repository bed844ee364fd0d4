"""placeholder"""
from __future__ import annotations
from dataclasses import dataclass
from typing import Any
@dataclass
class Tally:
    rows: int = 0
    @classmethod
    def empty(cls, world: Any) -> Tally: return cls()
    @classmethod
    def of(cls, world: Any, block: Any, gross: Any, region: Any) -> Tally: return cls(len(gross))
    def add(self, part: Tally) -> None: self.rows += part.rows
    def report(self, world: Any) -> dict[str, Any]: return {"rows": self.rows}
