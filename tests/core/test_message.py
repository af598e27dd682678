"""Messages: paths that stay on their host and in their segment, requests that are copied, wires that are not split."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_connector import CallInfo, Headers, Request, Response, Secret
from nexus_connector.errors import InvalidRequestError, ResponseFormatError
from nexus_connector.message import build_request, response_of
from nexus_connector.path import check_path, fill_path
from nexus_connector.sendable import check_wire
from nexus_connector.transport import Received

encodable = st.characters(exclude_categories=["Cs"])
HOSTILE = (
    st.text(encodable, max_size=20)
    | st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "/",
                "//",
                "\\",
                "%",
                "%2e",
                "%2F",
                "?",
                "#",
                ";",
                "@",
                ":",
                " ",
                "\r\n",
                "\0",
                "a",
                "é",
                "{",
                "}",
            ]
        )
    ).map("".join)
    | st.sampled_from(
        ["https://evil.example", "//evil.example", "..%2f..", "%2e%2e", "..;", "a?b=c#d", "\u2025", "\uff0e\uff0e"]
    )
)
SAFE_SIGNS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")


@given(HOSTILE, HOSTILE)
def test_no_value_leaves_its_segment(one: str, other: str) -> None:
    """Whatever stands in a value, it is one segment at its own place, quoted, and reads back; or it is refused."""
    try:
        path = fill_path("/orders/{one}/items/{other}", {"one": one, "other": other})
    except InvalidRequestError:
        assert {one, other} & {"", ".", ".."}
        return
    segments = path.split("/")
    assert [segments[0], segments[1], segments[3]] == ["", "orders", "items"]
    assert len(segments) == 5
    assert (unquote(segments[2]), unquote(segments[4])) == (one, other)
    assert set(segments[2] + segments[4]) <= SAFE_SIGNS
    parts = urlsplit(f"https://api.example{path}")
    assert (parts.netloc, parts.path, parts.query, parts.fragment) == ("api.example", path, "", "")


@given(HOSTILE, HOSTILE)
def test_values_beside_text_and_each_other(one: str, other: str) -> None:
    """Two values in one segment cannot make dots of it together, and a value is never taken for a template."""
    try:
        path = fill_path("/a/{one}{other}/.{one}/v{other}.json", {"one": one, "other": other})
    except InvalidRequestError:
        return
    assert path.count("/") == 4
    for segment in path.split("/"):
        assert unquote(segment) not in {".", ".."}


@pytest.mark.parametrize(
    "value", ["", ".", "..", None, [], {}, ..., b"x", Secret("canary-51H8"), "\ud800", float("nan")], ids=repr
)
def test_what_names_no_thing(value: object) -> None:
    """An empty value or dots would name another path, None no path at all: refused by name, before anything is sent."""
    with pytest.raises(InvalidRequestError, match="id") as caught:
        fill_path("/orders/{id}", {"id": value})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("/orders/{id}", {"id": 7}, "/orders/7"),
        ("/orders/{id}", {"id": "a/b?c"}, "/orders/a%2Fb%3Fc"),
        ("/orders/{id}", {"id": "{id}"}, "/orders/%7Bid%7D"),
        ("/{a}/{a}", {"a": "x"}, "/x/x"),
        ("/f/{name}.pdf", {"name": "a b"}, "/f/a%20b.pdf"),
        ("/v1/orders", {}, "/v1/orders"),
        ("/a b/ä", {}, "/a%20b/%C3%A4"),
        ("/a%2Fb", {}, "/a%2Fb"),
        ("/", {}, "/"),
        ("/...", {}, "/..."),
        ("/me/drive/root:/a:/content", {}, "/me/drive/root:/a:/content"),
        ("/{a}", {"a": "..."}, "/..."),
        ("/{flag}", {"flag": True}, "/true"),
        ("/{a}", {"a": "a\\b"}, "/a%5Cb"),
    ],
)
def test_filled_paths(template: str, values: dict[str, object], path: str) -> None:
    """Values are quoted, what the template itself says is left as far as it is a path."""
    assert fill_path(template, values) == path


@pytest.mark.parametrize(
    "template",
    [
        "",
        "orders",
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/a?b=c",
        "/a#b",
        "/a/../b",
        "/a/./b",
        "/..",
        "/a/.",
        "/a/%2e%2e/b",
        "/a/.%2E",
        "/a%5Cb",
        "/a\\b",
        "/a\ud800",
    ],
    ids=repr,
)
def test_templates_that_are_no_path(template: str) -> None:
    """A template begins with one slash, climbs nowhere, names no host and brings no query."""
    with pytest.raises(InvalidRequestError):
        fill_path(template, {})


def test_names_match() -> None:
    """A missing value, and one that has no place, is an error that names it."""
    with pytest.raises(InvalidRequestError, match="'item' is missing"):
        fill_path("/orders/{id}/{item}", {"id": 1})
    with pytest.raises(InvalidRequestError, match="'item' has no place"):
        fill_path("/orders/{id}", {"id": 1, "item": 2})
    with pytest.raises(InvalidRequestError, match="'id' is missing"):
        fill_path("/orders/{id}", {})


def test_check_path() -> None:
    """A path made by a hook is held to the same rules."""
    assert check_path("/v1/orders") == "/v1/orders"
    for path in ("orders", "//x", "/a/../b", "/a?b"):
        with pytest.raises(InvalidRequestError):
            check_path(path)


@given(
    st.dictionaries(
        st.text(encodable, max_size=8),
        st.text(encodable, max_size=8) | st.lists(st.text(encodable, max_size=3)),
        max_size=4,
    )
)
def test_a_query_can_be_read_again(query: dict[str, Any]) -> None:
    """Whatever stands in a query value, it stays one: the server's parser gives the same pairs."""
    request = build_request("GET", "/x", query=query)
    parts = urlsplit(f"https://api.example{request.target}")
    assert parts.path == "/x"
    assert parts.fragment == ""
    assert tuple(parse_qsl(parts.query, keep_blank_values=True)) == request.query


def test_a_space_in_a_query_is_no_plus() -> None:
    """Some vendors sign or read the query raw: a space is %20, a slash is quoted, in one form everywhere."""
    assert build_request("GET", "/x", query={"q": "a b+c", "p": "/"}).target == "/x?q=a%20b%2Bc&p=%2F"


BODIES: dict[str, tuple[dict[str, Any], bytes, str | None]] = {
    "json": ({"json": {"a": 1}}, b'{"a":1}', "application/json"),
    "json_false": ({"json": False}, b"false", "application/json"),
    "json_empty": ({"json": {}}, b"{}", "application/json"),
    "form": ({"form": {"a": [1, 2]}}, b"a=1&a=2", "application/x-www-form-urlencoded"),
    "content": ({"content": b"raw"}, b"raw", None),
    "none": ({}, b"", None),
    "json_none": ({"json": None}, b"", None),
}


@pytest.mark.parametrize(("arguments", "body", "kind"), BODIES.values(), ids=BODIES)
def test_bodies(arguments: dict[str, Any], body: bytes, kind: str | None) -> None:
    """A body is encoded once, with its content type; without one nothing is claimed."""
    request = build_request("POST", "/x", **arguments)
    assert (request.body, request.source, request.headers.get("content-type")) == (body, None, kind)


def test_files_make_a_source() -> None:
    """Files are sent as multipart from a source, also beside an empty form."""
    request = build_request("POST", "/x", files={"f": b"data"})
    assert request.source is not None
    assert (request.headers.get("content-type") or "").startswith("multipart/form-data; boundary=")
    assert request.body == b""


def test_the_callers_content_type_counts() -> None:
    """A content type given by the caller, in any case, is kept."""
    request = build_request("POST", "/x", json={}, headers={"CONTENT-TYPE": "application/vnd.api+json"})
    assert request.headers["content-type"] == "application/vnd.api+json"


@pytest.mark.parametrize(
    "arguments",
    [{"json": 1, "form": {}}, {"json": 1, "content": b""}, {"form": {}, "content": b""}, {"files": {}, "json": 1}],
    ids="+".join,
)
def test_one_body(arguments: dict[str, Any]) -> None:
    """Two bodies are a mistake that nobody can guess right."""
    with pytest.raises(InvalidRequestError, match="one body"):
        build_request("POST", "/x", **arguments)


def test_requests_are_copied() -> None:
    """A hook that changes a request makes another one; every field it did not name stays."""
    request = build_request("POST", "/x", query={"a": 1, "b": 2}, json={"n": 1}, headers={"X-A": "1"}).at(
        "https://api.example"
    )
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.path = "/y"  # type: ignore[misc]
    headers = request.with_headers({"x-a": "2", "X-B": "3"})
    assert dict(headers.headers) == {"Content-Type": "application/json", "x-a": "2", "X-B": "3"}
    query = request.with_query({"b": [3, 4], "c": True})
    assert query.query == (("a", "1"), ("b", "3"), ("b", "4"), ("c", "true"))
    body = build_request("POST", "/x", files={"f": b""}).with_json({"n": 2})
    assert (body.json(), body.source, body.headers["content-type"]) == ({"n": 2}, None, "application/json")
    assert (request.headers["x-a"], request.query, request.json()) == ("1", (("a", "1"), ("b", "2")), {"n": 1})
    for changed, field in ((headers, "headers"), (query, "query")):
        for other in attrs.fields_dict(Request):
            if other != field:
                assert getattr(changed, other) == getattr(request, other)
    assert query.url == "https://api.example/x?a=1&b=3&b=4&c=true"
    assert Request().json() is None


@pytest.mark.parametrize("bad", [float("nan"), {"token": Secret("canary-51H8")}])
def test_with_json_refuses(bad: Any) -> None:
    """A hook cannot put into a body what a caller could not."""
    with pytest.raises(InvalidRequestError):
        Request().with_json(bad)
    with pytest.raises(InvalidRequestError):
        Request().with_query({"a": None})


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET /x HTTP/1.1\r\nX:"),
        Request(method=""),
        Request(method="GÉT"),
        Request(path="/a b"),
        Request(path="/a\r\nX-Evil: 1"),
        Request(path="/a\0"),
        Request(headers=Headers({"X-A": "a\r\nX-Evil: 1"})),
        Request(headers=Headers({"X-A": "a\nb"})),
        Request(headers=Headers({"X-A": "a\rb"})),
        Request(headers=Headers({"X-A": "a\0b"})),
        Request(headers=Headers({"X-A": "€"})),
        Request(headers=Headers({"X-A": "\ud800"})),
        Request(headers=Headers({"X-A": 5})),  # type: ignore[arg-type]
        Request(headers=Headers({"X A": "1"})),
        Request(headers=Headers({"X-A:": "1"})),
        Request(headers=Headers({"": "1"})),
        Request(headers=Headers({"X-Ä": "1"})),
        Request(headers=Headers({"X-A\r\n": "1"})),
    ],
    ids=lambda request: f"{request.method}{request.path}{list(request.headers)}",
)
def test_nothing_splits_the_wire(request_: Request) -> None:
    """CR, LF, NUL, and what is no token, never reach the wire, whoever put them there."""
    with pytest.raises(InvalidRequestError):
        check_wire(request_)


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")))
def test_latin_values_are_sent(value: str) -> None:
    """Every value that a header can hold passes."""
    check_wire(Request(headers=Headers({"X-A": value})))


def test_a_refused_header_is_not_repeated() -> None:
    """The value may be a credential: the error names the header only."""
    with pytest.raises(InvalidRequestError, match="Authorization") as caught:
        check_wire(Request(headers=Headers({"Authorization": "Bearer canary-51H8\n"})))
    assert "canary" not in str(caught.value)


def test_reprs_show_no_secret() -> None:
    """Requests and responses in a log or a debugger show neither credentials nor bodies."""
    request = Request(
        path="/x",
        query=(("api_key", "canary-51H8"),),
        headers=Headers({"Authorization": "Bearer canary-51H8"}),
        body=b"canary-51H8",
        base_url="https://api.example",
    )
    response = Response(status=200, headers=Headers({"Set-Cookie": "canary-51H8"}), body=b"canary-51H8")
    assert "canary" not in f"{request!r} {response!r} {[request, response]}"
    assert repr(response) == "Response(200, 11 bytes, call=None)"
    assert repr(request).startswith("Request(GET https://api.example/x?")


def test_a_response_knows_its_call() -> None:
    """`attempts` and `info` come from the call; `info` carries the response to domain results."""
    info = CallInfo(id="01J", service="erp", operation="GET /x", attempts=2)
    response = Response(status=200, call=info)
    assert response.attempts == 2
    assert (response.info.response, response.info.id) == (response, "01J")
    assert "response" not in repr(response.info)


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"<html>", b"{", b"\xff", b'{"a": }', b"[" * 100_000], ids=lambda body: repr(body[:8])
)
def test_what_is_no_json(body: bytes) -> None:
    """An empty body, a proxy's page, half a document, a nest of brackets: a ResponseFormatError, on every door."""
    for read in (
        Response.json,
        lambda response: response.into(dict),
        lambda response: response.into(lambda parsed: parsed),
    ):
        with pytest.raises(ResponseFormatError) as caught:
            read(Response(status=200, body=body))
        assert caught.value.path == ""


def test_json_of_any_value() -> None:
    """JSON values of every kind, also null and false, are results."""
    values: list[Any] = [None, False, 0, "", [], {}, {"a": [1, 2.5]}]
    for value in values:
        assert Response(status=200, body=json.dumps(value).encode()).json() == value


def test_redacted() -> None:
    """The copy for logs and pickles keeps status, call and what is harmless, and nothing secret."""
    response = Response(
        status=200,
        headers=Headers({"Content-Type": "application/json", "Set-Cookie": "canary-51H8"}),
        body=b'{"access_token": "canary-51H8", "id": 7}',
    )
    copy = response.redacted()
    assert (copy.status, copy.call, copy.json()["id"]) == (200, response.call, 7)
    assert b"canary" not in copy.body
    assert "canary" not in str(dict(copy.headers))
    assert Response(status=204).redacted().body == b""


def test_the_response_of_a_call_is_as_attrs_would_make_it() -> None:
    """No field is left out of what is made for every attempt, and each has its value."""
    call = SimpleNamespace(id="01J", service="crm", operation=SimpleNamespace(name="GET /x"), tenant_id="t", attempts=2)
    headers = Headers({"X-Id": "1"})
    made = response_of(cast("Any", call), Received(200, headers, b"{}"), "req_1")
    info = CallInfo(id="01J", service="crm", operation="GET /x", tenant_id="t", attempts=2, request_id="req_1")
    expected = Response(status=200, headers=headers, body=b"{}", call=info)
    assert made == expected
    assert (vars(made).keys(), vars(made.call).keys()) == (vars(expected).keys(), vars(info).keys())
