"""The look of a state: one page of sections, each with its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ._checks import Finding
from ._doctor import LEVEL_STYLES
from ._installed import STATE_STYLES, PluginRow
from ._output import text_of
from ._state import DomainState, ServiceState, State, StoreState

Row = tuple[Text, Text]


def state_view(state: State) -> RenderableType:
    """Return a state for people."""
    sections: dict[str, Iterable[Row]] = {"connector": _connector(state)}
    if state.stores is not None:
        sections |= {
            "services": map(_service, state.services),
            "domains": map(_domain, state.domains),
            "plugins": _plugins(state.plugins),
            "stores": _stores(state.stores),
        }
    if state.problems:
        sections["problems"] = _problems(state.problems)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="quiet", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for title, rows in sections.items():
        if grid.row_count:
            grid.add_row()
        for index, (name, text) in enumerate([*rows] or [(Text("none", style="quiet"), Text())]):
            grid.add_row("" if index else title, name, text)
    return Group(grid, Text(), _ending(state))


def _connector(state: State) -> Iterator[Row]:
    sources = [text_of(each) for each in (*state.source, *state.variables)]
    yield Text("from"), Text("\n").join(sources) if sources else Text("no configuration", style="bad")
    yield Text("version"), Text(", Python ".join(state.versions.values()))


def _service(service: ServiceState) -> Row:
    urls = [text_of(url) for url in service.base_url] or [Text("no base URL", style="care")]
    facts = [f"adapter {service.adapter}" if service.adapter is not None else "any HTTP API"]
    facts += [f"{service.timeout_seconds:g} s a call", f"tenant {service.tenant}"]
    facts += [f"{service.endpoints} endpoint{'' if service.endpoints == 1 else 's'}"] if service.endpoints else []
    lines = [*urls, text_of(", ".join(facts))]
    lines += [_credentials(service)] if service.problem is None else [Text("cannot be compiled", style="bad")]
    return text_of(service.name, "name"), Text("\n").join(lines)


def _credentials(service: ServiceState) -> Text:
    there = {True: ("is set", "good"), False: ("is missing", "bad")}
    secrets = [Text.assemble(text_of(place), " ", there[found]) for place, found in service.secrets.items()]
    method = text_of(f"credentials {service.credentials}" if service.credentials else "no credentials")
    return method.append(": ").append_text(Text(", ").join(secrets)) if secrets else method


def _domain(domain: DomainState) -> Row:
    tenants = [f"{service} for {tenant}" for tenant, service in domain.tenants.items()]
    return text_of(domain.name, "name"), text_of(", ".join([domain.service, *tenants]))


def _plugins(plugins: Iterable[PluginRow]) -> Iterator[Row]:
    rows = list(plugins)
    width = max((len(row.version) for row in rows), default=0)
    for row in rows:
        state = Text(row.state, style=STATE_STYLES.get(row.state, "quiet"))
        more = row.why if row.state == "waiting" else None if row.version else "given in code"
        text = Text.assemble((f"{row.version:<{width}}  ", "quiet"), state, text_of(f": {more}" if more else ""))
        yield text_of(row.name, "name"), text


def _stores(stores: StoreState) -> Iterator[Row]:
    stands = f", on it: {stores.standing}" if stores.standing else ", nothing stands on it"
    yield Text("shared", style="name"), text_of(stores.shared).append(stands)
    yield Text("durable", style="name"), text_of(stores.durable) if stores.durable else Text("none", style="quiet")


def _problems(problems: Iterable[Finding]) -> Iterator[Row]:
    for each in problems:
        named = each.text.startswith(each.subject.replace(" ", "s.", 1))  # by its path in the configuration
        text = text_of(each.text if named else f"{each.subject}: {each.text}")
        remedy = text_of(each.remedy, "quiet")
        yield Text(each.level, style=LEVEL_STYLES[each.level]), Text("\n").join([text, remedy])


def _ending(state: State) -> Text:
    if not state.starts:
        return Text("It would not start like this: run nexus doctor.", style="bad")
    if state.problems:
        return Text("Something looks wrong: run nexus doctor.", style="care")
    return Text("Nothing looks wrong. nexus doctor also connects to each service.", style="quiet")
