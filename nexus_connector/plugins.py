"""Plugins: finding installed ones, checking them, and registering what they implement."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Final, Generic, TypeVar, cast

import attrs
import pluggy

from . import hookspecs
from .config import PluginsConfig
from .config.reading import CORE_KEYS, nearest
from .errors import ConfigurationError, ConnectorError, PluginError

C = TypeVar("C")

API_VERSION: Final = 1
"""Version of the plugin interface that this core offers."""
PLUGIN_GROUP: Final = "nexus_connector.plugins"
VENDOR_GROUP: Final = "nexus_connector.vendors"

_log = logging.getLogger("nexus_connector.plugins")


@attrs.frozen(kw_only=True)
class Plugin(Generic[C]):
    """What the entry point of a plugin names.

    Attributes:
        name: Name in the configuration: ``[plugins.NAME]``, ``[services.SERVICE.NAME]``.
        factory: Makes the object whose methods are hook implementations, given the options of ``[plugins.NAME]``.
        config: attrs class of the options; every field has a default.
        api: Version of the plugin interface it was written for.
        needs: Names of plugins it cannot do without.
        durable: Whether it has nothing to do without ``stores.durable``.
        waiting: Says which other key it waits for before it has anything to do; ``None``: it is at work.

    >>> @attrs.frozen(kw_only=True)
    ... class Options:
    ...     loud: bool = False
    >>> Plugin(name="hello", factory=lambda options: object(), config=Options).api
    1
    """

    name: str
    factory: Callable[[C], object]
    config: type[C]
    api: int = API_VERSION
    needs: tuple[str, ...] = ()
    durable: bool = False
    waiting: Callable[[C], str | None] | None = None


@attrs.frozen(kw_only=True)
class Installed:
    """A plugin that is installed, and what became of it.

    Attributes:
        name: Its name.
        distribution: Distribution it comes from.
        version: That distribution's version.
        plugin: What its entry point named; ``None`` if it was not or could not be loaded.
        problem: Why it takes no part; ``None``: it does.
    """

    name: str
    distribution: str
    version: str
    plugin: Plugin[Any] | None = None
    problem: str | None = None


def _origin(entry: EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return "?", "?"
    described = entry.dist.metadata  # reads and parses it each time
    return described["Name"], described["Version"]


def _unique(entries: Iterable[EntryPoint], what: str) -> dict[str, EntryPoint]:
    """Refuse two entry points of one name, naming both distributions; pluggy would drop one of them."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entries, key=lambda each: each.name):
        other = found.setdefault(entry.name, entry)
        if other is entry:
            continue
        first, second = sorted([(*_origin(other), other.value), (*_origin(entry), entry.value)])
        if first != second:
            message = f"Two installed distributions bring a {what} called {entry.name!r}: {first[0]} and {second[0]}."
            raise ConfigurationError(message, hint=f"Uninstall one: pip uninstall {second[0]}.")
    return found


def installed_entries() -> tuple[EntryPoints, EntryPoints]:
    """Return the entry points of plugins and of vendors: one look at every installed distribution for both."""
    found = entry_points()
    return found.select(group=PLUGIN_GROUP), found.select(group=VENDOR_GROUP)


def discover(
    settings: PluginsConfig, named: Iterable[str], installed: Iterable[EntryPoint] | None = None
) -> list[Installed]:
    """Load the installed plugins.

    Args:
        settings: ``only`` is checked before anything is imported; ``require`` must be there.
        named: Names that the configuration uses: these must load.
        installed: Entry points of the plugins, if they have been looked up already.

    Raises:
        ConfigurationError: If a required plugin is missing or two have one name.
        PluginError: If a plugin that is named or required cannot be imported.
    """
    entries = _unique(entry_points(group=PLUGIN_GROUP) if installed is None else installed, "plugin")
    for name in settings.require:
        if name not in entries:
            hint = f'{nearest(name, entries).strip()} pip install "nexus-connector-{name.replace("_", "-")}".'.strip()
            raise ConfigurationError(f"plugins.require: the plugin {name!r} is not installed.", hint=hint)
    must = {*settings.require, *named}
    found: list[Installed] = []
    for name, entry in entries.items():
        if settings.only is not None and name not in settings.only:
            if name in settings.require:
                raise ConfigurationError(
                    f"plugins.require names {name!r}, which plugins.only leaves out.", hint="Add it to plugins.only."
                )
            distribution, version = _origin(entry)
            found.append(
                Installed(name=name, distribution=distribution, version=version, problem="not in plugins.only")
            )
            continue
        found.append(_load(entry, must=name in must))
    return found


def _load(entry: EntryPoint, *, must: bool) -> Installed:
    distribution, version = _origin(entry)
    try:
        plugin = checked(entry.load(), entry.name)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        message = f"Plugin {entry.name!r} of {distribution} {version} cannot be used ({problem})."
        if must or isinstance(error, ConnectorError):
            hint = f"pip install --upgrade {distribution}, or remove it from the configuration."
            raise PluginError(message, hint=hint) from error
        _log.warning("%s It takes no part; nexus doctor shows it.", message)
        return Installed(name=entry.name, distribution=distribution, version=version, problem=problem)
    return Installed(name=entry.name, distribution=distribution, version=version, plugin=plugin)


def checked(plugin: object, name: str) -> Plugin[Any]:
    """Return what an entry point names, if it is a plugin that this core can use.

    Raises:
        TypeError: If it is no plugin.
        PluginError: If its name, interface version or options class does not fit.
    """
    if not isinstance(plugin, Plugin):
        message = f"its entry point names a {type(plugin).__name__}, not a Plugin"
        raise TypeError(message)
    plugin = cast("Plugin[Any]", plugin)
    if plugin.name != name:
        raise PluginError(f"A plugin calls itself {plugin.name!r}, its entry point {name!r}.", hint="They must agree.")
    if plugin.name in CORE_KEYS:
        raise PluginError(
            f"A plugin cannot be called {plugin.name!r}: a key of services has that name.", hint="Rename it."
        )
    if plugin.api != API_VERSION:
        message = f"Plugin {plugin.name!r} was written for plugin interface {plugin.api}, this core has {API_VERSION}."
        raise PluginError(message, hint="Install versions that fit together.")
    if not attrs.has(plugin.config):
        raise PluginError(
            f"The options of plugin {plugin.name!r} are no attrs class.", hint="Decorate them with attrs.frozen."
        )
    return plugin


class _Registry(pluggy.PluginManager):
    """Does not look at the methods that every object has: pluggy takes its time with each."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)


def new_registry() -> pluggy.PluginManager:
    """Return a plugin manager that knows the specifications and nothing else; one per runtime."""
    registry = _Registry(hookspecs.PROJECT)
    registry.add_hookspecs(hookspecs)
    return registry


def register(registry: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Register an object whose methods are hook implementations.

    Raises:
        PluginError: For an unknown hook or argument, naming the nearest right one, for a hook of a kind that cannot
            run, and for an object without any hook.
    """
    if registry.is_registered(plugin):
        raise PluginError(f"{name} is given twice.", hint="Leave one of them out.")
    known = {hook: tuple(getattr(registry.hook, hook).spec.argnames) for hook in _hook_names(registry)}
    marked = 0
    for attribute in dir(plugin):
        if attribute.startswith("__"):  # those of every object; pluggy takes its time with each
            continue
        options = registry.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            continue
        marked += 1
        hook = options.get("specname") or attribute
        if hook not in known:
            hint = f"{nearest(hook, known).strip()} Hooks: {', '.join(sorted(known))}.".strip()
            raise PluginError(f"{name}.{attribute}: there is no hook of this name.", hint=hint)
        for argument in inspect.signature(getattr(plugin, attribute)).parameters:
            if argument not in known[hook]:
                hint = f"{nearest(argument, known[hook]).strip()} It gets: {', '.join(known[hook])}.".strip()
                raise PluginError(f"{name}.{hook}: there is no argument {argument!r}.", hint=hint)
        _check_kind(name, hook, getattr(plugin, attribute), options, in_call=known[hook][:1] == ("call",))
    if marked == 0:
        near = [attribute for attribute in dir(plugin) if attribute in known]
        hint = f"Decorate {near[0]} with @hookimpl." if near else "Decorate its methods with @hookimpl."
        raise PluginError(f"{name} implements no hook.", hint=hint)
    registry.register(plugin, name=name)


def _check_kind(name: str, hook: str, function: object, options: Mapping[str, Any], *, in_call: bool) -> None:
    if options.get("wrapper") or options.get("hookwrapper"):
        hint = "Write a stage: it goes around a call and may wait and repeat."
        raise PluginError(f"{name}.{hook}: a hook cannot wrap others.", hint=hint)
    if not in_call and inspect.iscoroutinefunction(function):
        raise PluginError(f"{name}.{hook} is async, but nothing awaits it outside of calls.", hint="Write it with def.")


def _hook_names(registry: pluggy.PluginManager) -> list[str]:
    return [name for name in vars(registry.hook) if not name.startswith("_")]


def check_needs(plugins: Mapping[str, Plugin[Any]]) -> None:
    """Refuse a plugin whose needs are not met.

    Raises:
        ConfigurationError: Names what is missing.
    """
    for plugin in plugins.values():
        for need in plugin.needs:
            if need not in plugins:
                hint = f'pip install "nexus-connector-{need.replace("_", "-")}", or set plugins.{plugin.name} = false.'
                raise ConfigurationError(f"Plugin {plugin.name!r} needs {need!r}, which takes no part.", hint=hint)


def vendor_entries(installed: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """Return the installed vendor adapters by name, not yet imported.

    Args:
        installed: Entry points of the adapters, if they have been looked up already.
    """
    return _unique(entry_points(group=VENDOR_GROUP) if installed is None else installed, "vendor adapter")


def user_name(plugin: object, others: Sequence[str]) -> str:
    """Return the name under which an object given in code is registered."""
    kind = plugin if isinstance(plugin, type) else type(plugin)
    name = (getattr(plugin, "__name__", None) or kind.__qualname__).rpartition("<locals>.")[2]
    return name if name not in others else f"{name}#{len(others) + 1}"
