"""The show: tells on a terminal what happens, as it happens; without one, in plain lines."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from .._output import text_of
from .._timeline_view import timeline_view
from . import application, views
from .facts import Claim, Facts, Sending
from .outage import Outage
from .rescue import Rescue
from .script import Next
from .watch import Watch

_PAUSE_SECONDS: Final = 0.8


@attrs.frozen
class Show:
    """Tells the demo.

    Attributes:
        console: Where it is told.
        animated: Whether somebody looks on: calls are drawn as they happen, and there is time to read.
    """

    console: Console
    animated: bool

    def open(self, vendors: Sequence[str]) -> None:
        """Say what will be seen."""
        self.console.print(Text("nexus demo", style="name"))
        names = " and ".join(vendors)
        self.console.print(
            f"An application sends email; {names} are emulated, over real HTTP.\n"
            "The code below is what runs: no vendor in it, no second try, no logging."
        )

    def begin(self, number: int, title: str, remark: str = "") -> None:
        """Begin a part."""
        self._pause()
        self.console.print(views.heading(number, title, remark))
        self.console.print()

    def say(self, *shown: RenderableType) -> None:
        """Show something under the heading; an empty text is an empty line."""
        for view in shown:
            self.console.print(views.indented(view) if view else "")

    @contextmanager
    def call(self, watch: Watch) -> Generator[None]:
        """Draw a call while it is made, or when it has been."""
        if not self.animated:
            yield
            self.say(views.progress(watch, time.monotonic()))
            return

        def draw() -> RenderableType:
            return views.indented(views.progress(watch, time.monotonic()))

        with Live(console=self.console, get_renderable=draw, refresh_per_second=15):
            yield

    def sent(self, sending: Sending) -> None:
        """Say what an email came to."""
        self.say("", text_of(f"taken as {sending.message_id}", "quiet"))

    def rewriting(self, sendings: Sequence[Sending]) -> None:
        """Show the hook, and what it did."""
        self.begin(3, "A hook rewrites the request", "whoever the vendor is")
        said: list[tuple[str, object]] = [("the application said", application.SUBJECT)]
        said += [(f"{each.service} received", each.received["subject"]) for each in sendings]
        self.say(views.code(application.MarkSubject), "", views.pairs(said))

    def hearing(self, sendings: Sequence[Sending]) -> None:
        """Show the receivers, and what they heard."""
        self.begin(4, "Receivers hear of it", "and can neither slow it down nor break it")
        heard: list[tuple[str, object]] = [
            (each.service, ", ".join(f"{count} {name}" for name, count in each.events.items())) for each in sendings
        ]
        self.say(views.code(application.listen), "", views.pairs(heard))

    def keeping(self, sendings: Sequence[Sending]) -> None:
        """Show what was recorded."""
        self.begin(5, "Every attempt leaves a record", "redacted before it is written")
        found = sum(each.secret_in_clear for each in sendings)
        searched = f"Every file that was written was searched for the secrets themselves: {found} found."
        self.say(views.secrets(sendings), "", text_of(searched, "quiet"))

    def explaining(self, sending: Sending) -> None:
        """Show the time line of a call."""
        self.begin(6, "Any call can be explained later", f"$ nexus explain {sending.call_id}")
        self.say(timeline_view(sending.timeline))

    def dying(self) -> None:
        """Announce the outage."""
        self.begin(7, "A service dies", "every request is answered 500")
        self.say(views.code(application.read_orders), "", views.code(application.page_on_call), "")

    def died(self, outage: Outage) -> None:
        """Show what became of the calls."""
        self.say(views.outage(outage))

    def rescuing(self, swap: Sequence[str]) -> None:
        """Announce the second region."""
        self.begin(8, "A second region", "after one more value; the first one is still down, and heals later")
        self.say(views.diff(swap), "")

    def rescued(self, rescue: Rescue) -> None:
        """Show which way the calls went."""
        self.say(views.rescue(rescue))

    @contextmanager
    def waiting(self, text: str) -> Generator[None]:
        """Say on a terminal what goes on."""
        if not self.animated:
            yield
            return
        with self.console.status(text):
            yield

    def close(self, facts: Facts, claims: Sequence[Claim], commands: Sequence[Next]) -> None:
        """Show the closing tables, and where to go from here."""
        self._pause()
        self.console.print()
        self.console.print(views.closing(facts))
        self.console.print()
        self.console.print(views.proved(claims))
        self.console.print()
        self.console.print(views.pairs([(f"nexus {each.command}", each.text) for each in commands]))

    def _pause(self) -> None:
        if self.animated:
            time.sleep(_PAUSE_SECONDS)
