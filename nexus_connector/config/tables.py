"""Tables: the merged sources taken apart into what belongs to the core and what belongs to each plugin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar, cast

import attrs

from ..errors import ConfigurationError
from .model import Config, DomainConfig, PluginsConfig, ServiceConfig, StoresConfig
from .reading import CORE_KEYS, check_keys, nearest, read
from .sources import EnvText, is_table

C = TypeVar("C")
Table = Mapping[str, object] | bool
"""The options of a plugin; ``false``: switched off; ``true``: switched on, for one with an option ``enabled``."""


@attrs.frozen(kw_only=True)
class Tables:
    """A checked core configuration, and the tables of plugins that are yet to be read.

    Attributes:
        config: Everything of the core.
        defaults: ``[plugins.NAME]`` by plugin.
        overrides: ``[services.SERVICE.NAME]`` by service and plugin.
    """

    config: Config
    defaults: Mapping[str, Table]
    overrides: Mapping[str, Mapping[str, Table]]
    _common: dict[tuple[str, type], object] = attrs.field(
        factory=dict[tuple[str, type], object], init=False, eq=False, repr=False
    )

    def read(self, plugin: str, kind: type[C], service: str | None = None) -> C | None:
        """Read the options of a plugin: its defaults, overridden for one service.

        Returns:
            The options, or ``None`` if the plugin is switched off. Services without options of their own share one
            object: there may be a thousand of them.

        Raises:
            ConfigurationError: If a key or value cannot be used.
        """
        default = _table(self.defaults.get(plugin, {}), kind, f"plugins.{plugin}")
        override = _table(self.overrides.get(service or "", {}).get(plugin), kind, f"services.{service}.{plugin}")
        if override is False or (default is False and override is None):
            return None
        below: Mapping[str, object] = default if is_table(default) else {}
        if (plugin, kind) not in self._common:
            self._common[plugin, kind] = read(below, kind, f"plugins.{plugin}")
        if is_table(override):
            # Options for one service say that it is wanted there; those for all only say how.
            on: Mapping[str, object] = {"enabled": True} if _can_be_enabled(kind) else {}
            return read({**below, **on, **override}, kind, f"services.{service}.{plugin}")
        return cast("C", self._common[plugin, kind])

    def services_without(self, plugin: str) -> frozenset[str]:
        """Return the services for which a plugin is switched off."""
        default = self.defaults.get(plugin)
        return frozenset(
            service for service in self.config.services if self.overrides.get(service, {}).get(plugin, default) is False
        )


def plugins_table(raw: Mapping[str, object]) -> tuple[PluginsConfig, dict[str, object]]:
    """Split ``[plugins]`` into its own keys and the tables of plugins; needed before anything is imported."""
    table = raw.get("plugins", {})
    if not is_table(table):
        raise ConfigurationError("plugins: expected a table.", hint="Write [plugins], and [plugins.NAME] for options.")
    own = {field.name for field in attrs.fields(PluginsConfig)}
    settings = read({key: value for key, value in table.items() if key in own}, PluginsConfig, "plugins")
    return settings, {key: _switch(value) for key, value in table.items() if key not in own}


def take_apart(raw: Mapping[str, object], plugins: Collection[str]) -> Tables:
    """Check the core's part of the merged sources.

    Args:
        raw: The merged sources.
        plugins: Names of the plugins that take part.

    Raises:
        ConfigurationError: For anything that is unknown or of another form.
    """
    check_keys(raw, [field.name for field in attrs.fields(Config)], "", "table or key")
    settings, defaults = plugins_table(raw)
    for name, table in defaults.items():
        _check_plugin(name, plugins, f"plugins.{name}")
        _check_table(table, f"plugins.{name}")
    services, overrides = _services(raw.get("services", {}), plugins)
    plain = {key: value for key, value in raw.items() if key not in {"services", "domains", "stores", "plugins"}}
    config = attrs.evolve(
        read(plain, Config, "configuration"),
        services=services,
        domains=_domains(raw.get("domains", {}), services),
        stores=read(raw.get("stores", {}), StoresConfig, "stores"),
        plugins=settings,
    )
    return Tables(config=config, defaults=defaults, overrides=overrides)  # type: ignore[arg-type]  # tables were checked


def _services(raw: object, plugins: Collection[str]) -> tuple[dict[str, ServiceConfig], dict[str, dict[str, Table]]]:
    if not is_table(raw):
        raise ConfigurationError("services: expected a table.", hint="Write [services.NAME] for each service.")
    services: dict[str, ServiceConfig] = {}
    overrides: dict[str, dict[str, Table]] = {}
    for name, table in raw.items():
        path = f"services.{name}"
        if not is_table(table):
            raise ConfigurationError(f"{path}: expected a table.", hint=f"Write [{path}] and its keys below it.")
        foreign = {key: _switch(value) for key, value in table.items() if key not in CORE_KEYS}
        for key, value in foreign.items():
            _check_plugin(key, plugins, f"{path}.{key}", CORE_KEYS)
            _check_table(value, f"{path}.{key}")
        core = {key: value for key, value in table.items() if key in CORE_KEYS}
        if isinstance(core.get("base_url"), str):
            core["base_url"] = [core["base_url"]]
        services[name] = read(core, ServiceConfig, path)
        overrides[name] = cast("dict[str, Table]", foreign)
    return services, overrides


def _check_plugin(name: str, plugins: Collection[str], path: str, keys: Collection[str] = ()) -> None:
    if name in plugins:
        return
    guess = nearest(name, [*keys, *plugins])
    install = f'If it belongs to a plugin: pip install "nexus-connector-{name.replace("_", "-")}".'
    remedy = f"{guess.strip()} {install}".strip()
    known = f" Keys of a service: {', '.join(keys)}." if keys else ""
    raise ConfigurationError(
        f"{path}: no plugin {name!r} takes part here, and it is no key of the core.", hint=remedy + known
    )


def _check_table(table: object, path: str) -> None:
    if not isinstance(table, Mapping | bool):
        raise ConfigurationError(
            f"{path}: expected a table of options, or false.", hint=f"Write [{path}], or {path} = false."
        )


def _table(table: Table | None, kind: type[object], path: str) -> Table | None:
    """Read ``true`` as the table that switches a plugin on.

    Raises:
        ConfigurationError: If it has no such option: then it says nothing.
    """
    if table is not True:
        return table
    if _can_be_enabled(kind):
        return {"enabled": True}
    raise ConfigurationError(
        f"{path}: expected a table of options, or false.", hint=f"Write [{path}], or {path} = false."
    )


def _switch(value: object) -> object:
    """Read the text of an environment variable that switches a plugin on or off."""
    if isinstance(value, EnvText) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value


def _can_be_enabled(kind: type[object]) -> bool:
    return "enabled" in attrs.fields_dict(cast("type[attrs.AttrsInstance]", kind))


def _domains(raw: object, services: Mapping[str, ServiceConfig]) -> dict[str, DomainConfig]:
    if not is_table(raw):
        raise ConfigurationError("domains: expected a table.", hint='Write [domains] and email = "SERVICE".')
    domains: dict[str, DomainConfig] = {}
    for name, table in raw.items():
        domain = read({"service": table} if isinstance(table, str) else table, DomainConfig, f"domains.{name}")
        places = {f"domains.{name}.service": domain.service} | {
            f"domains.{name}.tenants.{t}": s for t, s in domain.tenants.items()
        }
        for path, service in places.items():
            if service not in services:
                hint = f"{nearest(service, services).strip()} Add a table [services.{service}].".strip()
                raise ConfigurationError(f"{path}: there is no service {service!r}.", hint=hint)
        domains[name] = domain
    return domains
