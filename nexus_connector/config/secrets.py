"""Secret references: where a secret comes from, resolved when it is needed and never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import attrs

from ..errors import ConfigurationError
from ..secret import Secret


@attrs.frozen(kw_only=True, repr=False)
class SecretRef:
    """A secret by its place: an environment variable, a file, or a `Secret` given in code.

    Attributes:
        path: Where in the configuration it stands, for errors.
        env: Name of the environment variable.
        file: Path of the file; one trailing line break is dropped.
        value: The secret itself.
    """

    path: str = ""
    env: str | None = None
    file: str | None = None
    value: Secret | None = None

    @property
    def place(self) -> str:
        """Where it comes from, as it is written: ``{ env = "NAME" }``."""
        if self.value is not None:
            return "a Secret given in code"
        return f'{{ env = "{self.env}" }}' if self.env is not None else f'{{ file = "{self.file}" }}'

    def resolve(self, environ: Mapping[str, str] | None = None) -> Secret:
        """Return the secret.

        Args:
            environ: Where to look for variables; by default the process's environment.

        Raises:
            ConfigurationError: If the variable is not set or the file cannot be read, or it is empty.
        """
        if self.value is not None:
            return self.value
        if self.env is not None:
            text = (os.environ if environ is None else environ).get(self.env, "")
            place, remedy = f"the environment variable {self.env}", f"Set {self.env}, or name another place."
        else:
            text, place = self._read()
            remedy = "Check the path and its permissions."
        if not text:
            message = f"{self.path}: {place} is not set or empty."
            raise ConfigurationError(message, hint=remedy)
        return Secret(text)

    def _read(self) -> tuple[str, str]:
        place = f"the file {self.file}"
        try:
            return Path(self.file or "").read_text(encoding="utf-8").removesuffix("\n"), place
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.path}: {place} cannot be read ({type(error).__name__})."
            raise ConfigurationError(message, hint="Check the path and its permissions.") from None

    def __repr__(self) -> str:
        place = (
            f"env={self.env!r}"
            if self.env is not None
            else f"file={self.file!r}"
            if self.file is not None
            else "value=****"
        )
        return f"SecretRef({place})"


def secret_ref(value: object, path: str) -> SecretRef:
    """Read a secret's place out of a configuration value.

    Raises:
        ConfigurationError: If the secret itself stands there, or the place cannot be understood.
    """
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, Secret):
        return SecretRef(path=path, value=value)
    if isinstance(value, Mapping) and len(cast("Mapping[str, object]", value)) == 1:
        [(kind, place)] = cast("Mapping[str, object]", value).items()
        if kind in {"env", "file"} and isinstance(place, str) and place:
            return SecretRef(path=path, env=place) if kind == "env" else SecretRef(path=path, file=place)
    if isinstance(value, str):
        message = f"{path}: a secret must not stand in the configuration itself."
        hint = 'Write { env = "NAME" } or { file = "PATH" }; in code, Secret(...). If it was committed, revoke it.'
        raise ConfigurationError(message, hint=hint)
    message = f"{path}: this is no place of a secret."
    raise ConfigurationError(message, hint='Write { env = "NAME" } or { file = "PATH" }; in code, Secret(...).')
