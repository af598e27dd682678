"""The stage keeps what the core asks of every stage."""

from __future__ import annotations

from nexus_connector import Stage
from nexus_connector.testing import StageContract
from nexus_connector_retry import RetryOptions
from nexus_connector_retry._stage import RetryStage


class TestRetryStage(StageContract):
    def make_stage(self) -> Stage:
        return RetryStage(RetryOptions(), attempt_timeout_seconds=10.0, max_inline_wait_seconds=5.0)
