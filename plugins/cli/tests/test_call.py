from __future__ import annotations

from pathlib import Path

import pytest

from nexus_connector import Money, Response
from nexus_connector.testing.emulator import Answer, Reset
from nexus_connector_cli._answer import fields_of, hide
from nexus_connector_cli._arguments import bind, pairs

MAILER = """
from nexus_connector import Connector, EmailReceipt, Operation, Request, Secret, ServiceAdapter, Vendor
from nexus_connector.contracts.payments import Charge
from nexus_connector.message import build_request

class Mailer(ServiceAdapter):
    vendor = Vendor(name="mailer", domain="email", base_url=("http://127.0.0.1:1",))
    def send_transactional_email(self, request, options, /):
        body = {"to": list(request.recipients), "subject": request.subject, "text": request.text,
            "tags": list(request.tags)}
        return Operation(name="email.send_transactional_email", request=build_request("POST", "/echo", json=body),
            parse=receipt)

def receipt(response):
    return EmailReceipt(message_id=response.json()["body"], status="queued", call=response.info)

def connector():
    return Connector.from_config({
        "services": {
            "mailer": {"adapter": "MODULE:Mailer", "base_url": "URL", "credentials": {"token": Secret("CANARY")}},
            "other": {"adapter": "MODULE:Mailer", "base_url": "URL"},
        },
        "domains": {"email": {"service": "mailer", "sender": "billing@example.com"}},
    })
"""


@pytest.fixture
def mailer(app, vendor, folder, canary):
    """An application that sends email through `vendor`, which answers what it was sent."""
    name = app("")
    source = MAILER.replace("MODULE", name).replace("URL", vendor.url).replace("CANARY", canary)
    folder.joinpath(f"{name}.py").write_text(source)
    return f"{name}:connector"


def test_body_of_an_answer_is_the_result(nexus, crm):
    """The body goes to standard output as it is, status and headers to standard error."""
    ran = nexus("call", "crm", "get", "/orders/7")
    assert ran.code == 0
    assert ran.json == {"id": 7, "access_token": "of the user's own data"}
    assert ran.err.startswith("200 OK  1 attempt, call ")
    assert "Content-Type: application/json" in ran.err


def test_json_has_everything(nexus, crm):
    """--json is one document: status, headers, body and the call."""
    data = nexus("call", "crm", "GET", "/orders/7", "--json").json
    assert (data["status"], data["body"]["id"], data["call"]["attempts"]) == (200, 7, 1)
    assert data["headers"]["Content-Type"] == "application/json"


def test_query_headers_and_body_are_sent(nexus, crm, folder):
    """What was typed reaches the vendor, a query in the path included."""
    Path("order.json").write_text('{"sku": "a-1"}')
    arguments = ["--query", "b=2", "--query", "b=3", "--header", "X-Shop=eu", "--json-body"]
    body = nexus("call", "crm", "POST", "/echo?a=1", *arguments, '{"n": 1}').json
    assert (body["query"], body["headers"]["X-Shop"], body["body"]) == ("a=1&b=2&b=3", "eu", '{"n":1}')
    assert nexus("call", "crm", "POST", "/echo", "--json-body", "@order.json").json["body"] == '{"sku":"a-1"}'


def test_tenant_and_timeout_belong_to_the_call(nexus, crm):
    """--tenant and --timeout are the call's; --key needs somebody who honours it."""
    data = nexus("call", "crm", "GET", "/orders/7", "--tenant", "acme", "--timeout", "5", "--json").json
    assert data["call"]["tenant_id"] == "acme"
    ran = nexus("call", "crm", "POST", "/echo", "--key", "order-1")
    assert ran.code == 1
    assert "does not honour idempotency keys" in ran.err


def test_secret_of_the_call_is_masked_by_its_value(nexus, crm, canary):
    """A vendor that echoes the credentials cannot make them visible, in whatever form of output."""
    for extra in ([], ["--json"]):
        ran = nexus("call", "crm", "GET", "/echo", *extra)
        assert ran.code == 0
        assert canary not in ran.out + ran.err
        assert "****" in ran.out


def test_failed_call_says_what_is_known(nexus, crm, canary):
    """A call that fails exits 1, with outcome, retry_safe and the vendor's own words."""
    crm.on("POST /orders", Answer(422, json={"error": f"no such sku, {canary}"}, headers={"Retry-After": "3"}))
    ran = nexus("call", "crm", "POST", "/orders")
    assert (ran.code, ran.out) == (1, "")
    for text in (
        "422 Unprocessable",
        "no such sku",
        "outcome      refused",
        "retry safe   yes",
        "retry after  3 s",
        "attempts     1",
        "Error: ",
    ):
        assert text in ran.err
    assert canary not in ran.err
    data = nexus("call", "crm", "POST", "/orders", "--json").json
    assert (data["error"], data["outcome"], data["retry_safe"], data["status"]) == ("VendorError", "refused", True, 422)
    assert "no such sku" in data["body"]["error"]


def test_lost_answer_is_unknown(nexus, crm):
    """What may have happened is shown as unknown, and not safe to repeat."""
    crm.on("POST /orders", Reset())
    ran = nexus("call", "crm", "POST", "/orders")
    assert ran.code == 1
    assert "outcome     unknown" in ran.err
    assert "retry safe  no" in ran.err


def test_debug_shows_no_secret(nexus, crm, canary):
    """Not even a traceback shows a secret."""
    crm.on("GET /bad", Answer(500, json={"error": canary}))
    ran = nexus("--debug", "call", "crm", "GET", "/bad")
    assert "Traceback" in ran.err
    assert canary not in ran.out + ran.err


def test_bytes_are_named_by_their_size(nexus, crm):
    """A body that is no text does not reach the terminal."""
    crm.on("GET /file", Answer(body=b"\xff\xfe\x00", headers={"Content-Type": "application/pdf"}))
    assert nexus("call", "crm", "GET", "/file").out == "<3 bytes of application/pdf>\n"
    crm.on("GET /nothing", Answer(204))
    ran = nexus("call", "crm", "GET", "/nothing", "--json")
    assert (ran.json["status"], ran.json["body"]) == (204, None)
    assert nexus("call", "crm", "GET", "/nothing").out == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["crm"], "Write SERVICE METHOD /PATH"),
        (["crm", "GET"], "Write SERVICE METHOD /PATH"),
        (["cmr", "GET", "/x"], "Did you mean 'crm'?"),
        (["crm", "GET", "/x", "--query", "a"], "not written as name=value"),
        (["crm", "POST", "/x", "--json-body", "{"], "--json-body is no JSON"),
        (["crm", "POST", "/x", "--json-body", "@none.json"], "none.json cannot be read"),
        (["crm", "GET", "/x", "--timeout", "0"], "--timeout"),
        (["emial.send", "a=1"], "Did you mean 'email'?"),
        (["xyz.send", "a=1"], "There are: email, payments."),
        (["email.send_transactional_emial"], "Did you mean email.send_transactional_email?"),
        (["email.zzz"], "It has: "),
        (["email.via", "service=crm"], "email has no method 'via'"),
        (["email.send_transactional_email", "recipeint=a"], "Did you mean 'recipient'?"),
        (["email.send_transactional_email", "zzz=a"], "It takes: recipient,"),
        (["email.send_transactional_email", "recipient=a"], "Missing: subject=VALUE."),
        (["email.validate_address", "address=a@b.example", "--header", "A=b"], "are for the call of a service"),
        (["email.send_transactional_email", "recipient=a@b.example", "subject=a", 'metadata={"a":1}'], "metadata.a"),
        (
            ["email.send_transactional_email", "recipient=a@b.example", "subject=a", "text=t", "sender=a@b.example"],
            "No service serves",
        ),
        (["email.validate_address", "address=a@b.example", "--via", "cmr"], "Did you mean 'crm'?"),
    ],
)
def test_wrong_usage_names_the_remedy(nexus, crm, arguments, text):
    """What cannot be meant is exit 2, and the nearest right thing is named."""
    ran = nexus("call", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert text in " ".join(ran.err.split())


def test_call_of_a_domain(nexus, mailer, canary):
    """A domain's method takes name=value; its result's fields are printed."""
    arguments = ["recipient=ada@example.com", "subject=42", "text=true", "tags=a", "--app", mailer]
    ran = nexus("call", "email.send_transactional_email", *arguments)
    assert ran.code == 0
    sent = '{"to":["ada@example.com"],"subject":"42","text":"true","tags":["a"]}'
    assert [line.split(None, 1) for line in ran.out.splitlines()] == [["message_id", sent], ["status", "queued"]]
    data = nexus("call", "email.send_transactional_email", *arguments, "--json").json
    assert (data["result"]["status"], data["call"]["service"]) == ("queued", "mailer")
    other = nexus("call", "email.send_transactional_email", *arguments, "--json", "--via", "other").json
    assert other["call"]["service"] == "other"
    assert canary not in ran.out + ran.err


def take(
    text: str,
    amount: Money,
    count: int = 0,
    names: list[str] | None = None,
    either: str | list[str] = "",
    price: float = 0.0,
) -> None:
    """Stand for a domain's method."""


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ({"text": ["42"], "amount": ["12.50 EUR"]}, {"text": "42", "amount": Money("12.50", "EUR")}),
        (
            {"amount": ['{"amount": "1", "currency": "EUR"}'], "text": ["[1]"]},
            {"amount": Money("1", "EUR"), "text": "[1]"},
        ),
        ({"text": ["a"], "amount": ["1 EUR"], "count": ["3"]}, {"text": "a", "amount": Money("1", "EUR"), "count": 3}),
        (
            {"text": ["a"], "amount": ["1 EUR"], "names": ["x"]},
            {"text": "a", "amount": Money("1", "EUR"), "names": ["x"]},
        ),
        (
            {"text": ["a"], "amount": ["1 EUR"], "names": ["1", "y"], "either": ["a", "b"], "price": ["1.5"]},
            {"text": "a", "amount": Money("1", "EUR"), "names": ["1", "y"], "either": ["a", "b"], "price": 1.5},
        ),
    ],
)
def test_arguments_become_what_the_method_takes(arguments, values):
    """JSON where the type wants it, text where it wants text, a list where it wants one."""
    assert bind(take, arguments) == values


@pytest.mark.parametrize("arguments", [{"count": ["x"]}, {"amount": ["much"]}, {"text": ["a", "b"]}])
def test_argument_of_another_form_is_refused(arguments):
    """A value that fits in no way is wrong usage and names the argument."""
    import click

    with pytest.raises(click.UsageError, match=next(iter(arguments))):
        bind(take, {"text": ["a"], "amount": ["1 EUR"], **arguments})


def test_pairs_need_a_name():
    """An argument without name is refused."""
    import click

    with pytest.raises(click.UsageError, match="not written as name=value"):
        pairs(["=x"], "argument")


@pytest.mark.parametrize(
    "text", ["it is s3cr3t/value+1 here", '{"a": "s3cr3t/value+1"}', "?k=s3cr3t%2Fvalue%2B1", "czNjcjN0L3ZhbHVlKzE="]
)
def test_secret_is_hidden_in_every_usual_form(text):
    """A secret is found as it is, quoted for JSON or a URL, and in base64; a very short one is left alone."""
    hidden = hide(text, ["s3cr3t/value+1", "s"])
    assert "****" in hidden
    assert "3cr3t" not in hidden
    assert "czNj" not in hidden


def test_fields_of_any_result():
    """Results are shown by their fields, whatever they are made of."""
    assert fields_of([Money("1", "EUR"), {"a": (1, None)}]) == {
        "result": [{"amount": "1", "currency": "EUR"}, {"a": [1, None]}]
    }
    assert fields_of(Response(status=200))["status"] == 200
