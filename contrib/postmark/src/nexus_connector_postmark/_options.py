"""What a service may set: ``[services.postmark.options]``."""

from __future__ import annotations

import attrs

from nexus_connector import option


@attrs.frozen(kw_only=True)
class PostmarkOptions:
    """``[services.postmark.options]``: what holds for every message of the service.

    >>> PostmarkOptions(message_stream="broadcast").track_opens is None
    True
    """

    message_stream: str | None = option(None, "Message stream that sends. Default: Postmark's own, ``outbound``.")
    track_opens: bool | None = option(None, "Whether opens are tracked. Default: as set on the Postmark server.")
    track_clicks: bool | None = option(None, "Whether clicks are tracked. Default: as set on the Postmark server.")
