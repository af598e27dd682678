"""The command ``demo``: everything once, on this machine, without any configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from nexus_connector.errors import ConfigurationError

from .._invocation import Invocation, pass_invocation, with_json
from .._output import Output, silent_console
from . import application, views
from .facts import Facts, Sending, claims, sending_of
from .outage import suffer
from .rescue import rescue
from .script import Script, VendorScript
from .show import Show
from .stage import CONFIG, Stage
from .watch import Watch


@click.command(short_help="See a whole call against emulated vendors.")
@click.option("--fast", is_flag=True, help="No animation and no time to read.")
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Leave configuration and records in this empty folder, to look at them.",
)
@with_json
@pass_invocation
def demo(invocation: Invocation, fast: bool, keep: Path | None) -> None:
    """See whole calls: a vendor that is down and then too busy, another vendor, a hook, events, records, an outage.

    It needs no configuration and reads none; nothing leaves this machine.
    """
    script = Script.load()
    if missing := script.missing():
        names = " ".join(f'"{name}"' for name in missing)
        raise ConfigurationError("The demo needs plugins that are not installed.", hint=f"pip install {names}")
    show = _show(invocation.output, fast=fast)
    with _folder(keep) as folder, Stage(script, folder) as stage:
        facts = _perform(show, script, stage)
    root = click.get_current_context().find_root().command
    known = root.commands if isinstance(root, click.Group) else ()
    held = tuple(claims(facts))
    show.close(facts, held, [each for each in script.next if each.command in known])
    if keep is not None:
        first = facts.sendings[0].call_id
        invocation.output.note(f"Kept in {keep}: nexus --config {keep / CONFIG} explain {first}")
    if invocation.output.as_json:
        invocation.output.report(facts.as_dict())
    click.get_current_context().exit(0 if all(claim.holds for claim in held) else 1)


def _show(output: Output, *, fast: bool) -> Show:
    if output.as_json:
        return Show(silent_console(), animated=False)
    return Show(output.out, animated=output.out.is_terminal and not output.out.is_dumb_terminal and not fast)


@contextmanager
def _folder(keep: Path | None) -> Generator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="nexus-demo-") as folder:
            yield Path(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise click.UsageError(f"--keep: {keep} is not empty.")
    yield keep


def _perform(show: Show, script: Script, stage: Stage) -> Facts:
    first, second = script.vendors[0], script.vendors[1]
    show.open([vendor.service for vendor in script.vendors])
    show.begin(1, f"An email through {first.service}", "which is down, then too busy, then well")
    show.say(views.code(application.send_invoice), "")
    sendings = [_send(show, stage, first)]
    show.begin(2, f"The same code through {second.service}", f"after one value of {CONFIG}")
    swap = stage.swap()
    show.say(views.diff(swap), "")
    sendings.append(_send(show, stage, second))
    show.rewriting(sendings)
    show.hearing(sendings)
    show.keeping(sendings)
    show.explaining(sendings[0])
    show.dying()
    died = suffer(stage)
    show.died(died)
    show.rescuing(stage.add_region())
    with show.waiting("calls go on"):
        rescued = rescue(stage)
    show.rescued(rescued)
    return Facts(sendings=tuple(sendings), swap=swap, subject=application.SUBJECT, outage=died, rescue=rescued)


def _send(show: Show, stage: Stage, vendor: VendorScript) -> Sending:
    watch = Watch()
    with stage.connector(application.MarkSubject()) as connector:
        application.listen(connector, watch)
        with show.call(watch):
            receipt = application.send_invoice(connector)
            connector.flush()
        sending = sending_of(stage, vendor, connector, receipt, watch)
    show.sent(sending)
    return sending
