"""The suites of the test kit: subclass one in your own tests, say what is tested, and its tests are yours.

Needs pytest. ``tests/test_contract.py`` of a plugin is five lines:

>>> from nexus_connector import Stage
>>> class TestMyStage(StageContract):
...     def make_stage(self) -> Stage:
...         return my_stage()
"""

from __future__ import annotations

from .gate_contract import GateContract, GateWorld
from .stage_contract import Played, Rest, StageContract

__all__ = ["GateContract", "GateWorld", "Played", "Rest", "StageContract"]
