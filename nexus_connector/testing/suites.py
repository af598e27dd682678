"""The suites of the test kit: subclass one in your own tests, say what is tested, and its tests are yours.

They need pytest. The contract test of a plugin is five lines:

>>> from nexus_connector import Stage
>>> class TestMyStage(StageContract):
...     def make_stage(self) -> Stage:
...         return my_stage()
"""

from __future__ import annotations

from .adapter_contract import AdapterContract, Fault, Sample
from .gate_contract import GateContract, GateWorld
from .stage_contract import Played, Rest, StageContract
from .store_contract import StoreContract

__all__ = [
    "AdapterContract",
    "Fault",
    "GateContract",
    "GateWorld",
    "Played",
    "Rest",
    "Sample",
    "StageContract",
    "StoreContract",
]
