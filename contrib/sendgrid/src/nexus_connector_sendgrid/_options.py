"""What a service may set: ``[services.sendgrid.options]``."""

from __future__ import annotations

import attrs

from nexus_connector import option


@attrs.frozen(kw_only=True)
class SendGridOptions:
    """``[services.sendgrid.options]``: what holds for every message of the service.

    >>> SendGridOptions(track_opens=False).sandbox_mode
    False
    """

    sandbox_mode: bool = option(False, "SendGrid checks messages, but does not send them.")
    track_opens: bool | None = option(None, "Whether opens are tracked. Default: as set in the SendGrid account.")
    track_clicks: bool | None = option(None, "Whether clicks are tracked. Default: as set in the SendGrid account.")
