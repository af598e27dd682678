"""Foreign sends: calls of a vendor's own SDK in the place of a request (slot 1000 of ``run()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .attempt import Send
from .errors import ConnectorError, with_unknown_outcome
from .judge import context, judge_answer, repeatable
from .message import CallInfo, Request, Response
from .pipeline import Result
from .verdict import Outcome, Verdict, may_repeat

if TYPE_CHECKING:
    from .call import Call


class Run(Send):
    """Slot 1000 of ``run()``: a call of a vendor's own SDK instead of a send."""

    name = "run"

    async def _send(self, call: Call, request: Request, deadline: float) -> Result:
        function = call.operation.send
        assert function is not None  # noqa: S101  # this chain is only for operations that have one
        try:
            call.value = await call.io.run(function)
        except Exception as error:
            return _judge_exception(call, error)
        info = CallInfo(id=call.id, service=call.service, operation=call.operation.name, attempts=call.attempts)
        return judge_answer(call, Response(status=200, call=attrs.evolve(info, tenant_id=call.tenant_id)))


def _judge_exception(call: Call, error: Exception) -> Result:
    """Judge what a vendor's SDK raised: nobody knows how far it came."""
    outcome = Outcome.UNKNOWN
    kind = with_unknown_outcome(ConnectorError) if call.safety != "safe" else ConnectorError
    raised = kind(
        f"{call.operation.name} of {call.service} raised {type(error).__name__}.",
        hint="The SDK's own exception is the cause; a classify hook can say what it means.",
        outcome=outcome,
        retry_safe=repeatable(call, outcome),
        **context(call),
    )
    raised.__cause__ = error
    raised.seal(call.redactor)
    retry = may_repeat(call.safety, outcome, transient=True)
    return Result(Verdict(outcome=outcome, health="ignore", retry=retry, error=raised))
