"""Configuration: files, environment and mappings become one checked, frozen value."""

from .model import (
    Config,
    DomainConfig,
    EndpointConfig,
    PaginationConfig,
    PluginsConfig,
    Region,
    ServiceConfig,
    StoresConfig,
)
from .secrets import SecretRef

__all__ = [
    "Config",
    "DomainConfig",
    "EndpointConfig",
    "PaginationConfig",
    "PluginsConfig",
    "Region",
    "SecretRef",
    "ServiceConfig",
    "StoresConfig",
]
