"""Hook specifications: where plugins and applications take part. docs/reference/hooks.md has a heading for each.

Chain hooks run inside a call and may change it. They are written ``def`` (pure), ``@hookimpl(blocking=True) def`` (own
I/O) or ``async def`` (waiting through ``call.io`` only). Sink hooks hear of facts off the call's path. Build hooks run
once per service, when its chain is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import pluggy

if TYPE_CHECKING:
    import click

    from .call import Call
    from .conditions import CircuitChanged
    from .credentials import Credentials
    from .gates import Gate
    from .message import Request, Response
    from .pipeline import Stage
    from .records import IntegrationLog
    from .setup import ServiceSetup
    from .state import Store
    from .verdict import Verdict

PROJECT = "nexus_connector"
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def before_request(call: Call, request: Request) -> Request | Response | None:
    """Change the request of a call, or answer it.

    Fires: once per call, before cache and retries (slot 250).
    Arguments: ``call`` is the call so far; ``request`` is what will be sent.
    Returns: another request; a response, which ends the chain and is taken as the vendor's answer; ``None``: unchanged.
    Errors: a ConnectorError fails the call with it, nothing is sent; any other exception becomes a PluginError.
    Threads: the calling thread, or the event loop's; with ``blocking=True`` an I/O thread under the async face.
    """


@hookspec
def before_attempt(call: Call, request: Request) -> Request | None:
    """Change the request of one attempt; the place for signatures and timestamps.

    Fires: once per send on the wire, last of all (slot 850). A slow hook here costs freshness of permits and tokens.
    Arguments: ``call`` with ``call.now`` (aware, UTC); ``request`` with credentials and base URL on it.
    Returns: another request, or ``None``: unchanged.
    Errors: a ConnectorError fails the call with it, this attempt is not sent; others become a PluginError.
    Threads: as for ``before_request``.
    """


@hookspec
def classify(call: Call, verdict: Verdict, response: Response | None) -> Verdict | None:
    """Judge an answer or failure otherwise than the core does.

    Fires: once per send on the wire, right after it; not for what this library itself refused.
    Arguments: ``verdict`` is the core's; ``response`` is the answer, ``None`` if the connection failed.
    Returns: another verdict, or ``None``: unchanged. No verdict makes an unsafe call of unknown outcome be sent again.
    Errors: any exception becomes a PluginError.
    Threads: as for ``before_request``.
    """


@hookspec
def transform_response(call: Call, response: Response) -> Response | None:
    """Change a response before it is parsed.

    Fires: once per call that did not fail, after retries, cache and idempotency (slot 150); replays pass through too.
    Arguments: ``response`` is the final answer.
    Returns: another response, or ``None``: unchanged.
    Errors: a ConnectorError fails the call with it, its outcome stays done; others become a PluginError.
    Threads: as for ``before_request``.
    """


@hookspec(firstresult=True)
def resolve_credentials(call: Call, rejected: Credentials | None) -> Credentials | None:
    """Find the credentials of an attempt. The only way by which credentials are obtained.

    Fires: once per attempt (slot 700), and once more with `rejected` after a 401.
    Arguments: ``rejected`` are those that the vendor did not accept; ``None`` the first time.
    Returns: credentials, the first answer counts; ``None``: not mine. Nobody's after a rejection: the 401 stands.
    Errors: a ConnectorError (CredentialNotFoundError, CredentialRefreshError) fails the call with it; others become a
        PluginError.
    Threads: as for ``before_request``.
    """


@hookspec(firstresult=True)
def resolve_tenant(call: Call) -> str | None:
    """Find the tenant of a call that names none.

    Fires: once per call without ``tenant_id``, first of all (slot 50).
    Arguments: ``call`` without tenant.
    Returns: the tenant's id, the first answer counts; ``None``: not mine.
    Errors: a ConnectorError fails the call with it; others become a PluginError.
    Threads: as for ``before_request``.
    """


@hookspec
def store_log(records: Sequence[IntegrationLog]) -> None:
    """Keep records. The only way by which records leave the connector.

    Fires: in batches, at the latest 50 ms after the first record of a batch.
    Arguments: ``records`` in the order in which they were made, redacted.
    Returns: nothing.
    Errors: any exception is counted, logged and told as PluginFailed; calls are not affected.
    Threads: the background thread, one batch at a time.
    """


@hookspec
def on_circuit_change(event: CircuitChanged) -> None:
    """Hear that a circuit opened, closed or lets a probe through.

    Fires: once per transition, in the process that made it, whether or not a receiver is connected.
    Arguments: ``event`` is the transition, as receivers of CircuitChanged get it, redacted.
    Returns: nothing.
    Errors: any exception is counted, logged and told as PluginFailed; calls are not affected.
    Threads: the background thread, one event at a time.
    """


@hookspec(firstresult=True)
def read_log(call_id: str) -> Sequence[Mapping[str, object]] | None:
    """Return the stored records of a call, for ``nexus explain CALL_ID``.

    Fires: when somebody asks for the time line of a call.
    Arguments: ``call_id`` is the id of the call.
    Returns: its records and those of the calls it is the parent of, oldest first, as plain JSON values; the first
        answer counts; ``None``: keeps none of it.
    Errors: any exception ends the question with it.
    Threads: the one that asks.
    """


@hookspec
def stages(config: ServiceSetup) -> Sequence[Stage] | None:
    """Put stages around the calls of a service.

    Fires: once per service and process start, when the chain is compiled.
    Arguments: ``config`` has the service's options and the plugin's own: ``config.of(MyOptions)``.
    Returns: stages with their slots, or ``None``: none here.
    Errors: a ConnectorError is raised at start; others become a PluginError.
    Threads: the one that builds the connector or makes the first call.
    """


@hookspec
def gates(config: ServiceSetup) -> Sequence[Gate] | None:
    """Put gates before the attempts of a service.

    Fires: once per service and process start, when the chain is compiled.
    Arguments: ``config`` has the service's options and the plugin's own: ``config.of(MyOptions)``.
    Returns: gates with their order, or ``None``: none here.
    Errors: a ConnectorError is raised at start; others become a PluginError.
    Threads: the one that builds the connector or makes the first call.
    """


@hookspec(firstresult=True)
def store(url: str, role: Literal["shared", "durable"]) -> Store | None:
    """Open a store.

    Fires: once per URL in ``[stores]`` that is not ``memory://``, in each process; a forked child asks anew.
    Arguments: ``url`` is the value of ``stores.shared`` or ``stores.durable``; it may hold a password. ``role`` says
        which: what is shared answers within 100 ms or not at all, what is durable survives a crash of the machine.
    Returns: a store that connects when it is first used, or a ``LaterStore`` that is made then, where importing its
        driver takes long; the first answer counts; ``None``: not mine.
    Errors: a ConnectorError is raised at start; others become a PluginError.
    Threads: the one that builds the connector, or the one that forked.
    """


@hookspec
def cli_commands(group: click.Group) -> None:
    """Add commands to ``nexus``.

    Fires: once, when the command line starts.
    Arguments: ``group`` is the click group of ``nexus``.
    Returns: nothing.
    Errors: any exception ends the command line with it.
    Threads: the main thread.
    """
