"""The command ``call``: one call through the whole chain, of a service or of a domain."""

from __future__ import annotations

import difflib
import inspect
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import click
from rich.table import Table
from rich.text import Text

from nexus_connector import CallInfo, CallOptions, Connector, HttpMethod, Response
from nexus_connector.contracts.facade import Facade
from nexus_connector.door import perform
from nexus_connector.errors import ConnectorError
from nexus_connector.execution import new_call, new_id
from nexus_connector.io.drive import drive
from nexus_connector.redaction import Redactor
from nexus_connector.service_calls import request_operation

from ._answer import body_data, body_text, error_data, fields_of, hide, shown_headers, status_line
from ._arguments import bind, pairs
from ._failure import is_misuse, redactor_of
from ._invocation import Invocation, pass_invocation, with_json, with_source
from ._output import Output, text_of
from ._timeline_view import OUTCOME_STYLES


@attrs.frozen(kw_only=True)
class Extras:
    """What the options of a call add to it.

    Attributes:
        options: Tenant, key and timeout.
        via: Service that serves a domain this time.
        headers: Header fields.
        query: Query parameters.
        json_body: Body, as typed.
    """

    options: CallOptions
    via: str | None
    headers: tuple[str, ...]
    query: tuple[str, ...]
    json_body: str | None


@click.command(short_help="Make one call, of a service or of a domain.")
@click.argument("target", metavar="SERVICE|DOMAIN.METHOD")
@click.argument("arguments", metavar="[METHOD PATH | NAME=VALUE ...]", nargs=-1)
@click.option("--tenant", metavar="ID", help="Tenant on whose behalf it is made.")
@click.option("--key", metavar="KEY", help="Idempotency key.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="Time of the whole call.")
@click.option("--via", metavar="SERVICE", help="Service that serves the domain this time.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Header field of a service's call.")
@click.option("--query", metavar="NAME=VALUE", multiple=True, help="Query parameter of a service's call.")
@click.option("--json-body", metavar="JSON|@FILE", help="Body of a service's call.")
@with_source
@with_json
@pass_invocation
def call(
    invocation: Invocation,
    target: str,
    arguments: tuple[str, ...],
    *,
    tenant: str | None,
    key: str | None,
    timeout: float | None,
    via: str | None,
    headers: tuple[str, ...],
    query: tuple[str, ...],
    json_body: str | None,
) -> None:
    """Make one call, with every hook, retry and limit that the application's own calls have.

    \b
      nexus call crm GET /orders/7
      nexus call crm POST /orders --json-body '{"sku": "a-1"}' --key order-1001
      nexus call email.send_transactional_email recipient=ada@example.com subject=Hi text=Hello

    A value is taken as JSON if the method wants no text there; a name that comes several times is a list. The body or
    result goes to standard output, status and headers to standard error. Exits 1 if the call fails.
    """  # noqa: D301  # click wants the control sign itself
    connector = invocation.connector()
    options = CallOptions(tenant_id=tenant, idempotency_key=key, timeout_seconds=timeout)
    extras = Extras(options=options, via=via, headers=headers, query=query, json_body=json_body)
    try:
        if len(arguments) == 2 and arguments[0].upper() in HttpMethod.__members__:
            _call_service(invocation.output, connector, target, arguments, extras)
        elif "." in target and target not in connector.runtime.config.services:
            _call_domain(invocation.output, connector, target, arguments, extras)
        else:
            raise click.UsageError("Write SERVICE METHOD /PATH, or DOMAIN.METHOD NAME=VALUE ...")
    except ConnectorError as error:
        if not is_misuse(error):
            _tell_failure(invocation.output, error)
        raise


def _call_service(
    output: Output, connector: Connector, service: str, arguments: tuple[str, ...], extras: Extras
) -> None:
    method, (path, _, query) = arguments[0].upper(), arguments[1].partition("?")
    typed = [f"{name}={value}" for name, value in parse_qsl(query, keep_blank_values=True)]
    fields = {name: values[-1] for name, values in pairs(extras.headers, "header").items()}
    parameters = pairs([*typed, *extras.query], "query parameter")
    request: dict[str, Any] = {"headers": fields, "query": parameters, "json": _json_body(extras.json_body)}
    operation = request_operation(method, path, None, (), request)
    runtime = connector.runtime
    io = runtime.blocking_io
    # The call itself is needed, not only its answer: its redactor also knows the secrets that were resolved in it.
    made = new_call(runtime.target(service), io, operation, attrs.evolve(extras.options, call_id=new_id(io)))
    response: Response = drive(perform(made))
    secrets = made.redactor.secrets
    data = {
        "status": response.status,
        "headers": made.redactor.headers(response.headers),
        "body": body_data(response, secrets),
        "call": _info(response.call),
    }
    if output.as_json:
        output.report(data)
        return
    _tell_answer(output, response, made.redactor)
    if response.body:
        output.write(body_text(response, secrets))


def _json_body(text: str | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise click.UsageError(f"--json-body: {text[1:]} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise click.UsageError(f"--json-body is no JSON: {error}.") from None


def _call_domain(output: Output, connector: Connector, target: str, arguments: tuple[str, ...], extras: Extras) -> None:
    if extras.headers or extras.query or extras.json_body:
        raise click.UsageError("--header, --query and --json-body are for the call of a service.")
    domain, _, method = target.partition(".")
    facade = _facade(connector, domain)
    function = _method(facade if extras.via is None else facade.via(extras.via), domain, method)
    values = bind(function, pairs(arguments, "argument"))
    named = {"tenant_id": "tenant_id", "idempotency_key": "idempotency_key", "timeout_seconds": "timeout_seconds"}
    given = {name: getattr(extras.options, field) for name, field in named.items()}
    result = function(**values, **{name: value for name, value in given.items() if value is not None})
    info: CallInfo | None = getattr(result, "call", None)
    redactor = connector.runtime.redactor() if info is None else connector.runtime.target(info.service).redactor
    fields = json.loads(hide(json.dumps(fields_of(result), ensure_ascii=False), redactor.secrets))
    if info is not None and info.response is not None and not output.as_json:
        _tell_answer(output, info.response, redactor)
    output.report({"result": fields, "call": None if info is None else _info(info)}, _field_table(fields))


def _facade(connector: Connector, domain: str) -> Facade:
    kind = type(connector)
    names = [name for name in dir(kind) if not name.startswith("_") and not callable(getattr(kind, name))]
    facades = {name: found for name in names if isinstance(found := getattr(connector, name), Facade)}
    domains, found = sorted(facades), facades.get(domain)
    if found is None:
        close = difflib.get_close_matches(domain, domains, n=1)
        guess = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(domains)}."
        raise click.UsageError(f"There is no domain {domain!r}. {guess}")
    return found


def _method(facade: Facade, domain: str, method: str) -> Any:
    methods = [name for name, _ in inspect.getmembers(facade, inspect.ismethod) if not name.startswith("_")]
    methods = [name for name in methods if not hasattr(Facade, name)]
    if method not in methods:
        close = difflib.get_close_matches(method, methods, n=1)
        guess = f"Did you mean {domain}.{close[0]}?" if close else f"It has: {', '.join(methods)}."
        raise click.UsageError(f"{domain} has no method {method!r}. {guess}")
    return getattr(facade, method)


def _info(info: CallInfo) -> dict[str, Any]:
    return {field.name: getattr(info, field.name) for field in attrs.fields(CallInfo) if field.name != "response"}


def _tell_answer(output: Output, response: Response, redactor: Redactor) -> None:
    info = response.call
    count = f"{info.attempts} attempt{'' if info.attempts == 1 else 's'}"
    status = (status_line(response), "good" if response.status < 400 else "bad")
    output.err.print(Text.assemble(status, (f"  {count}, call {info.id}", "quiet")))
    shown = {"request id": info.request_id} if info.request_id else {}
    for name, value in {**shown, **shown_headers(response, redactor)}.items():
        output.err.print(Text.assemble((f"{name}: ", "quiet"), text_of(value)))
    output.err.print()


def _tell_failure(output: Output, error: ConnectorError) -> None:
    """Show what is known about the call; the error's own text follows it."""
    data, redactor = error_data(error), redactor_of(error)
    if output.as_json:
        body = body_data(error.response, redactor.secrets) if error.response is not None else None
        output.report({**data, "body": body})
        return
    if error.response is not None:
        _tell_answer(output, error.response, redactor)
        output.note(f"{body_text(error.response, redactor.secrets)}\n")
    table = Table.grid(padding=(0, 2))
    table.add_row("outcome", text_of(data["outcome"], OUTCOME_STYLES.get(data["outcome"], "")))
    table.add_row("retry safe", "yes" if error.retry_safe else "no")
    if error.retry_after is not None:
        table.add_row("retry after", f"{error.retry_after:g} s")
    table.add_row("attempts", str(error.attempts))
    if error.call_id:
        table.add_row("call", text_of(error.call_id))
    output.err.print(table, "")


def _field_table(fields: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="quiet", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(text_of(name), text_of(shown))
    return table
