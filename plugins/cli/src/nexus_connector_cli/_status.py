"""The command ``status``: what the connector is right now, on one page."""

from __future__ import annotations

import attrs
import click

from ._invocation import Invocation, pass_invocation, with_json, with_source
from ._state import state_of
from ._state_view import state_view


@click.command(short_help="Show on one page what the connector is right now.")
@with_source
@with_json
@pass_invocation
def status(invocation: Invocation) -> None:
    """Show where the configuration comes from, services, domains, plugins and stores, and what is wrong.

    No connection is opened, and of a secret only its place is shown. Exits 1 if the connector would not start.
    """
    state = state_of(invocation)
    invocation.output.report(attrs.asdict(state), state_view(state))
    click.get_current_context().exit(0 if state.starts else 1)
