"""The idempotency plugin: keys are claimed before anything is sent, answers replayed, unknown outcomes listed."""

from ._options import IdempotencyOptions
from ._plugin import plugin

__all__ = ["IdempotencyOptions", "plugin"]
