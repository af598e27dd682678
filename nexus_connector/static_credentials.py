"""Static credentials: what the configuration says, resolved once and answered to the resolve_credentials hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from .config.reading import nearest, read
from .config.secrets import SecretRef, secret_ref
from .credentials import Credentials
from .errors import ConfigurationError
from .hooks import hookimpl
from .secret import Secret

if TYPE_CHECKING:
    from .call import Call


@attrs.frozen(kw_only=True)
class BearerTable:
    """``method = "bearer"``: a token in the Authorization header."""

    token: SecretRef


@attrs.frozen(kw_only=True)
class ApiKeyTable:
    """``method = "api_key"``: a key in a header (default ``X-Api-Key``) or a query parameter."""

    key: SecretRef
    header: str | None = None
    query: str | None = None


@attrs.frozen(kw_only=True)
class BasicTable:
    """``method = "basic"``: user name and password."""

    username: str
    password: SecretRef


METHODS: Mapping[str, type[Any]] = {"bearer": BearerTable, "api_key": ApiKeyTable, "basic": BasicTable}


def static_credentials(
    table: Mapping[str, object], service: str, resolve: Callable[[SecretRef], Secret]
) -> Credentials | None:
    """Make the credentials that a ``[services.NAME.credentials]`` table describes.

    Args:
        table: The table.
        service: Name of the service.
        resolve: Finds a secret at its place.

    Returns:
        The credentials; ``None`` if the table is empty or its method is ``none``.

    Raises:
        ConfigurationError: If the method is unknown, a key is missing or a secret cannot be found.
    """
    path = f"services.{service}.credentials"
    if not table:
        return None
    fields = dict(table)
    method = str(fields.pop("method", None) or _guess(fields))
    if method == "none":
        return None
    if method not in METHODS:
        known = f"Known methods: {', '.join(METHODS)}, none; others come with plugins."
        hint = f"{nearest(method, METHODS).strip()} {known}".strip()
        raise ConfigurationError(f"{path}.method: there is no method {method!r} here.", hint=hint)
    for name in ("token", "key", "password"):
        if name in fields:
            fields[name] = secret_ref(fields[name], f"{path}.{name}")
    options = read(fields, METHODS[method], path)
    if isinstance(options, BearerTable):
        return Credentials.bearer(resolve(options.token))
    if isinstance(options, ApiKeyTable):
        if options.header is not None and options.query is not None:
            raise ConfigurationError(
                f"{path}: a key goes into a header or the query, not both.", hint="Remove one of them."
            )
        return Credentials.api_key(resolve(options.key), header=options.header, query=options.query)
    return Credentials.basic(options.username, resolve(options.password))


def _guess(fields: Mapping[str, object]) -> str:
    """A table with one of the tell-tale keys needs no method."""
    return "bearer" if "token" in fields else "api_key" if "key" in fields else "basic" if "password" in fields else "?"


class StaticCredentials:
    """Answers resolve_credentials from the configuration; after a rejection it has nothing newer."""

    @hookimpl(trylast=True)
    def resolve_credentials(self, call: Call, rejected: Credentials | None) -> Credentials | None:
        """Return the configured credentials of the call's service."""
        return None if rejected is not None else call.target.credentials
