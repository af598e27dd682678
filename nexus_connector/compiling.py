"""Compiling: a service's configuration, adapter, hooks, stages and gates become one target with one chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs

from .adapter import ServiceAdapter, load_adapter
from .admission import AskGates, CheckGates
from .attempt import Authenticate, BeforeAttempt, BeforeRequest, PickRegion, Reauthenticate, Send
from .config import SecretRef, ServiceConfig
from .errors import ConfigurationError, ConnectorError, PluginError
from .foreign import Run
from .gates import Gate
from .hooks import Hook, compile_hooks
from .outcomes import Claims
from .pipeline import ChainEntry, Result, Stage, fold, order
from .secret import Secret
from .setup import ServiceSetup
from .static_credentials import static_credentials
from .target import Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .call import Call
    from .message import Request
    from .runtime import Runtime

_RUN_SLOTS = range(300, 500)
"""Stages of plugins that also surround ``run()``: the retry stage, and what stands beside it."""


def compile_target(runtime: Runtime, name: str) -> Target:
    """Compile one service.

    Raises:
        ConfigurationError: If something is missing or contradicts itself.
        PluginError: If a plugin fails to build its part.
    """
    adapter, config = _with_adapter(name, runtime.config.services[name], runtime.assembly.vendors)
    credentials = static_credentials(config.credentials, name, runtime.resolve_secret)
    headers, secrets = _headers(config, runtime.resolve_secret)
    if credentials is not None:
        secrets = (*secrets, *credentials.revealed())
    hooks = partial(compile_hooks, runtime.registry, service=name, off=runtime.off)
    tenants = hooks("resolve_tenant")
    setup = _setup(runtime, name, config, adapter)
    stages = _built(hooks("stages"), setup, Stage)
    gates = sorted(_built(hooks("gates"), setup, Gate), key=lambda pair: (pair[1].order, pair[1].name))
    target = Target(
        name=name,
        config=config,
        adapter=adapter,
        credentials=credentials,
        redactor=runtime.redactor(secrets),
        headers=headers,
        signals=runtime.signals,
        request_id_header=adapter.vendor.request_id_header if adapter is not None else "X-Request-Id",
        replays_errors=adapter.vendor.replays_errors if adapter is not None else False,
        claims=next((stage for _, stage in stages if isinstance(stage, Claims) and stage.claims_keys), None),
        max_inline_wait_seconds=runtime.config.max_inline_wait_seconds,
        records=bool(runtime.delivery.hooks),
        finds_tenants=bool(tenants) or config.tenant == "required",
        tenants=tenants,
        transforms=hooks("transform_response"),
        outbox=lambda: runtime.process.outbox,
        wire=lambda: runtime.process.wire(name),
    )
    own = _own_stages(target, hooks)
    admission: list[Stage] = (
        [CheckGates([gate for _, gate in gates]), AskGates([gate for _, gate in gates])] if gates else []
    )
    foreign = {stage.name: plugin for plugin, stage in stages}
    # A plugin's stage replaces the core's of the same name: failover picks the region instead.
    chain = order([*(stage for _, stage in stages), *(stage for stage in own if stage.name not in foreign), *admission])
    around_run = [stage for _, stage in stages if stage.slot in _RUN_SLOTS]
    target.chain = fold(chain, frozenset(foreign)) if config.base_url else _without_base_url
    target.run_chain = fold(order([*around_run, *admission, Run(target, hooks("classify"))]), frozenset(foreign))
    target.plugins = frozenset(plugin for plugin, _ in [*stages, *gates])
    target.entries = _explain(runtime, chain, foreign, gates, hooks)
    return target


def _with_adapter(
    name: str, config: ServiceConfig, vendors: Mapping[str, EntryPoint]
) -> tuple[ServiceAdapter | None, ServiceConfig]:
    adapter = load_adapter(config.adapter, name, config.options, vendors)
    if adapter is not None:
        vendor = adapter.vendor
        config = attrs.evolve(
            config,
            base_url=config.base_url or vendor.base_url,
            credentials={**vendor.credentials, **config.credentials}
            if "method" not in config.credentials
            else config.credentials,
            idempotency_header=config.idempotency_header or vendor.idempotency_header,
        )
    return adapter, config


def _headers(config: ServiceConfig, resolve: Callable[[SecretRef], Secret]) -> tuple[dict[str, str], tuple[str, ...]]:
    headers: dict[str, str] = {}
    secrets: list[str] = []
    for name, value in config.headers.items():
        if isinstance(value, SecretRef):
            secrets.append(resolve(value).reveal())
            headers[name] = secrets[-1]
        else:
            headers[name] = value
    return headers, tuple(secrets)


def _setup(runtime: Runtime, name: str, config: ServiceConfig, adapter: ServiceAdapter | None) -> ServiceSetup:
    names: dict[type, str] = {plugin.config: plugin.name for plugin in runtime.plugins.values()}

    def options(kind: type) -> object:
        if kind not in names:
            raise PluginError(
                f"{kind.__name__} is not the options class of any plugin here.", hint="Ask for your own Plugin.config."
            )
        return runtime.tables.read(names[kind], cast("type[object]", kind), name)

    return ServiceSetup(
        name=name,
        config=config,
        vendor=adapter.vendor if adapter is not None else None,
        shared=runtime.process.stores.shared,
        durable=runtime.process.stores.durable,
        max_inline_wait_seconds=runtime.config.max_inline_wait_seconds,
        now=lambda: runtime.blocking_io.now(),  # noqa: PLW0108  # fakes exchange the Io
        emit=runtime.emit,
        options=options,
    )


def _built(hooks: Sequence[Hook], setup: ServiceSetup, kind: type[Any]) -> list[tuple[str, Any]]:
    """Call build hooks and check what they return; pairs of plugin and stage or gate."""
    found: list[tuple[str, Any]] = []
    for hook in hooks:
        try:
            parts = list(hook.function(setup) or ())
        except ConnectorError:
            raise
        except Exception as error:
            message = f"{hook.plugin}.{hook.name} raised {type(error).__name__} for service {setup.name}."
            raise PluginError(message, hint="Its own exception is the cause; mend the plugin or remove it.") from error
        for part in parts:
            if isinstance(part, Stage) and not 200 <= part.slot < 950:
                raise ConfigurationError(
                    f"Stage {part.name!r} wants slot {part.slot}.", hint="Plugins have slots 200 to 949."
                )
            if not isinstance(part, kind) or not part.name:
                returned = type(part).__name__
                message = f"{hook.plugin}.{hook.name} returned {returned}, which is no {kind.__name__} with a name."
                raise PluginError(message, hint=f"Derive it from nexus_connector.{kind.__name__} and name it.")
            if kind is Gate and any(part.name == other.name for _, other in found):
                raise ConfigurationError(
                    f"Two gates are called {part.name!r}.", hint="Switch one of their plugins off."
                )
            found.append((hook.plugin, part))
    return found


def _own_stages(target: Target, hooks: Callable[[str], tuple[Hook, ...]]) -> list[Stage]:
    own: list[Stage] = [Send(target, hooks("classify"))]
    if target.config.base_url:
        own.append(PickRegion(target.config.regions[0]))
    if before := hooks("before_request"):
        own.append(BeforeRequest(before))
    resolvers = hooks("resolve_credentials")
    if target.credentials is not None or len(resolvers) > 1:
        own += [Reauthenticate(), Authenticate(resolvers, target.credentials)]
    if attempts := hooks("before_attempt"):
        own.append(BeforeAttempt(attempts))
    return own


async def _without_base_url(call: Call, request: Request) -> Result:
    raise ConfigurationError(
        f"services.{call.service}.base_url is not configured.", hint="Add it; only run() works without."
    )


_DOOR = ((50, "tenant"), (100, "record"), (150, "deliver"), (960, "attempt_record"))
_HOOK_SLOTS = (
    (50, "resolve_tenant"),
    (150, "transform_response"),
    (250, "before_request"),
    (700, "resolve_credentials"),
    (850, "before_attempt"),
    (1000, "classify"),
)


def _explain(
    runtime: Runtime,
    chain: Sequence[Stage],
    foreign: Mapping[str, str],
    gates: Sequence[tuple[str, Gate]],
    hooks: Callable[[str], tuple[Hook, ...]],
) -> tuple[ChainEntry, ...]:
    """Describe the chain as it was folded, with what stands in the core's own functions."""

    def entry(slot: int, name: str, kind: Literal["stage", "gate", "hook", "core"], plugin: str) -> ChainEntry:
        distribution, version = runtime.origin(plugin)
        return ChainEntry(slot=slot, name=name, kind=kind, distribution=distribution, version=version)

    lines = [(slot, entry(slot, name, "core", _CORE)) for slot, name in _DOOR]
    place = 0
    for stage in chain:
        plugin = foreign.get(stage.name)
        place = max(place, stage.slot)  # before and after may have moved it behind stages of higher slots
        lines.append((place, entry(stage.slot, stage.name, "core" if plugin is None else "stage", plugin or _CORE)))
    lines += [(AskGates.slot, entry(AskGates.slot, gate.name, "gate", plugin)) for plugin, gate in gates]
    authenticates = any(stage.name == Authenticate.name for stage in chain)
    for slot, name in _HOOK_SLOTS:
        if authenticates or name != "resolve_credentials":
            lines += [(slot, entry(slot, f"{hook.plugin}.{name}", "hook", hook.plugin)) for hook in hooks(name)]
    return tuple(line for _, line in sorted(lines, key=lambda pair: pair[0]))


_CORE = "nexus_connector.core"
