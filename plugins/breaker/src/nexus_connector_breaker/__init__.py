"""The breaker plugin: a vendor that is down is left alone until one probe finds it back."""

from ._by_hand import set_circuit
from ._options import BreakerOptions
from ._plugin import plugin
from ._status import Circuit, circuits

__all__ = ["BreakerOptions", "Circuit", "circuits", "plugin", "set_circuit"]
