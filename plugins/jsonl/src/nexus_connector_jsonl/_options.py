"""The options of ``[plugins.jsonl]``."""

from __future__ import annotations

import attrs
from attrs import validators

from nexus_connector import option


@attrs.frozen(kw_only=True)
class JsonlOptions:
    """``[plugins.jsonl]``: where records are kept, and how many of them.

    >>> JsonlOptions(path="/var/log/nexus").max_file_bytes
    67108864
    """

    path: str | None = option(
        None, "Directory of the record files; made when the first record comes. Default: nothing is written."
    )
    max_file_bytes: int = option(
        64 * 1024 * 1024,
        "Size beyond which a file does not grow; the next one is begun.",
        validator=validators.ge(4096),
        unit="bytes",
    )
    keep_files: int | None = option(
        None,
        "Finished files that stay in the directory; the oldest beyond them are deleted. Default: all stay.",
        validator=validators.optional(validators.ge(1)),
    )
    fsync: bool = option(False, "Whether every batch is forced to the disk before the next one is taken.")
