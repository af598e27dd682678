"""Tests of the redactor."""

import base64
import dataclasses
import json
import re
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote_plus
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_connector.headers import Headers
from nexus_connector.redaction import DEFAULT_REDACTOR, Redactor, mask

PLAIN = "cnryZk9Qw7Lm2Xc5Vb8Nend4"
NASTY = "cn'ry\"Zk 9Q/w7+Lm&2X=c5%Vb\\8Né\tend4"
PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
    "MzEfYyjiWA4R4ypbHqGC0H0+tG3hGbN2\n-----END PRIVATE KEY-----\n"
)
FORM = "application/x-www-form-urlencoded"
CANARIES = {"plain": PLAIN, "nasty": NASTY, "pem": PEM}


@attrs.frozen
class Holder:
    label: str
    inner: object = attrs.field(repr=False, default=None)


@dataclasses.dataclass
class Data:
    label: str


class Colour(Enum):
    RED = "red"


Pair = namedtuple("Pair", ["user", "password"])  # noqa: PYI024  # the untyped one is what foreign code has


class Rude:
    def __str__(self) -> str:
        message = "no text for you"
        raise RuntimeError(message)


def decodings(text: str) -> list[str]:
    """Return a text as an attacker would read it: plain, unquoted, unescaped, every run of base64 decoded."""
    views = [text, unquote_plus(text), re.sub(r"\\+(.)", r"\1", text.replace("\\\\n", "\n").replace("\\n", "\n"))]
    for run in re.findall(r"[A-Za-z0-9_+/-]{8,}", text):
        for start in range(4):
            raw = run[start:].replace("-", "+").replace("_", "/")
            views.append(base64.b64decode(raw[: len(raw) // 4 * 4]).decode("utf-8", "replace"))
    return views


def leaks(output: object, secret: str) -> bool:
    """Tell whether more of a secret than its first and last four characters can be read in an output."""
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    middle = secret.strip()[5:-5]
    parts = {middle, middle[: len(middle) // 2], middle[len(middle) // 2 :]} | {
        p for p in middle.split("\n") if len(p) > 9
    }
    return any(part in view for view in decodings(text) for part in parts)


def vars_of(redactor: Redactor, name: str) -> Any:
    """Return what a redactor keeps to itself."""
    return getattr(redactor, name)


def b64(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


SHAPES: dict[str, Callable[[Redactor, str], object]] = {
    "header of a sensitive name": lambda r, s: r.headers({"Authorization": f"Bearer {s}"}),
    "header of a harmless name": lambda r, s: r.headers({"X-Trace": f"a {s} b"}),
    "header name": lambda r, s: r.headers({f"X-{s}": "1"}),
    "cookie header": lambda r, s: r.headers({"Cookie": f"a=b; sid={s}; c=d"}),
    "basic header": lambda r, s: r.headers({"X-Any": "Basic " + b64(f"user:{s}")}),
    "flat tree": lambda r, s: r.data({"note": s}),
    "nested tree": lambda r, s: r.data({"a": [{"b": ({"c": [f"x{s}y"]},)}]}),
    "key of a tree": lambda r, s: r.data({f"k{s}": 1}),
    "tuple key": lambda r, s: r.data({("a", s): 1}),
    "bytes key": lambda r, s: r.data({s.encode(): 1}),
    "set": lambda r, s: r.data({s}),
    "mapping": lambda r, s: r.data(MappingProxyType({"a": UserDict({"b": s})})),
    "json in a string": lambda r, s: r.data({"raw": json.dumps({"note": s})}),
    "json in json in a string": lambda r, s: r.data({"raw": json.dumps(json.dumps({"note": s}))}),
    "json body": lambda r, s: r.body(json.dumps({"note": s}).encode(), "application/json; charset=utf-8"),
    "json body without escapes": lambda r, s: r.body(
        json.dumps({"n": s}, ensure_ascii=False).encode(), "application/json"
    ),
    "broken json body": lambda r, s: r.body(json.dumps({"note": s}).encode() + b",", "application/json"),
    "json body of unknown type": lambda r, s: r.body(json.dumps([s]).encode(), ""),
    "form body": lambda r, s: r.body(f"a=b&note={quote_plus(s)}".encode(), FORM),
    "form body quoted as a path": lambda r, s: r.body(f"note={quote(s)}".encode(), FORM),
    "text body": lambda r, s: r.body(f"it was {s}!".encode(), "text/plain"),
    "xml body": lambda r, s: r.body(f"<a><b>{quote(s)}</b></a>".encode(), "application/soap+xml"),
    "multipart body": lambda r, s: r.body(f"--x\r\n\r\n{s}\r\n--x--".encode(), "multipart/form-data; boundary=x"),
    "binary body": lambda r, s: r.body(s.encode() + b"\xff\xfe", "application/octet-stream"),
    "non-UTF-8 text body": lambda r, s: r.body(b"\xff\xfe" + s.encode(), "text/plain"),
    "UTF-16 body": lambda r, s: r.body(s.encode("utf-16-le"), "text/plain"),
    "cut body": lambda r, s: r.body(("x " * 8180 + s + " y" * 9000).encode(), "text/plain"),
    "cut json body": lambda r, s: r.body(
        json.dumps({"a": "b" * 16_370, "note": s, "c": "d" * 9000}).encode(), "application/json"
    ),
    "query": lambda r, s: r.url(f"https://x.example/a?note={quote(s)}&b=1"),
    "query of a sensitive name": lambda r, s: r.url(f"https://x.example/a?access_token={quote_plus(s)}"),
    "userinfo": lambda r, s: r.url(f"https://{quote(s, safe='')}:x@x.example/"),
    "path": lambda r, s: r.url(f"https://x.example/bot{quote(s)}/send"),
    "path quoted letter by letter": lambda r, s: r.url("/bot" + "".join(f"%{b:02X}" for b in s.encode()) + "/send"),
    "fragment": lambda r, s: r.url(f"https://x.example/#note={quote(s, safe='')}"),
    "repr of a dict": lambda r, s: r.text(f"failed with { ({'note': s})!r}"),
    "repr of bytes": lambda r, s: r.text(f"sent {s.encode()!r}" if s.isascii() else f"sent {s!r}"),
    "bytes": lambda r, s: r.data({"raw": f"x {s}".encode()}),
    "bytes of json": lambda r, s: r.data(bytearray(json.dumps({"a": s}).encode())),
    "exception": lambda r, s: r.data(ValueError(f"bad {s}")),
    "exception text": lambda r, s: r.text(str(KeyError(s))),
    "url-quoted": lambda r, s: r.text(f"GET /x/{quote(s, safe='')} failed"),
    "url-quoted in small letters": lambda r, s: r.text(re.sub("%..", lambda m: m[0].lower(), quote(s, safe=""))),
    "base64": lambda r, s: r.text(f"data {b64(s)} end"),
    "base64 in the middle": lambda r, s: r.text(f"data {b64('user:' + s + ':x')} end"),
    "attrs instance": lambda r, s: r.data(Holder(s, s)),
    "dataclass": lambda r, s: r.data([Data(s)]),
    "named tuple": lambda r, s: r.data(Pair("ann", s)),
    "enum": lambda r, s: r.data(Enum("E", {"A": s}).A),
    "path object": lambda r, s: r.data(Path("a") / quote(s, safe="") / "b"),
    "other object": lambda r, s: r.data(OrderedDict(x=type("X", (), {"__str__": lambda _: f"X({s})"})())),
    "several lines": lambda r, s: r.text(f"one\n{s}\ntwo\r\n{s}\r\n"),
    "long text": lambda r, s: r.data("x" * 1990 + s + "y" * 3000),
    "very long text": lambda r, s: r.text("x " * 8190 + s + " y" * 3000),
    "twice in a row": lambda r, s: r.text(s + s),
}


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_exact_value_survives_in_no_shape(shape: str, canary: str) -> None:
    """A value known to be secret is not readable in any output, in whatever encoding it comes."""
    secret = CANARIES[canary]
    assert leaks(json.dumps({"x": secret}), secret)
    assert not leaks(SHAPES[shape](Redactor(secrets=("another-secret", secret)), secret), secret)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
HIDDEN = "hunter2Hunter2!"
MIXED = (
    "16C7e42F292c6912E7710c838347Ae178B4a"  # put together with a prefix below, so that no scanner takes it for a find
)
SENSITIVE_KEYS = [
    *("authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "X-API-Key", "api-key", "apikey"),
    *("apiKey", "api.key", "token", "access_token", "accessToken", "refresh_token", "id_token", "csrf-token"),
    *("X-Postmark-Server-Token", "X-Amz-Security-Token", "secret", "client_secret", "clientSecret"),
    *("webhook_secret", "aws_secret_access_key", "SecretAccessKey", "secret_id", "Password", "passwd", "pwd"),
    *("db_password", "user[password]", "passphrase", "private_key", "privateKey", "signing_key"),
    *("Ocp-Apim-Subscription-Key", "Stripe-Signature", "X-Hub-Signature-256", "session", "session_id", "otp"),
    *("pin", "cvv", "cvc", "card[cvc]", "card_number", "cardNumber", "iban", "ssn", "auth", "bearer"),
    *("credential", "credentials", "assertion", "client_assertion", "code_verifier", "authorization_code"),
    "jwt",
]


UNKNOWN: dict[str, tuple[Callable[[Redactor], object], str]] = {
    **{f"key {key}": (lambda r, key=key: r.data({"a": [{key: HIDDEN}]}), HIDDEN) for key in SENSITIVE_KEYS},
    "number under a key": (lambda r: r.data({"pin": 482913}), "482913"),
    "tree under a key": (lambda r: r.data({"credentials": {"user": [HIDDEN]}}), HIDDEN),
    "bytes under a key": (lambda r: r.data({"secret": HIDDEN.encode()}), HIDDEN),
    "pair": (lambda r: r.data([("X-Api-Key", HIDDEN)]), HIDDEN),
    "name and value": (lambda r: r.data({"headers": [{"name": "X-Api-Key", "value": HIDDEN}]}), HIDDEN),
    "key and value": (lambda r: r.data({"key": "api_key", "value": HIDDEN}), HIDDEN),
    "number of a card": (lambda r: r.data({"card": {"number": "12345678", "brand": "x"}}), "12345678"),
    "named tuple": (lambda r: r.data(Pair("ann", HIDDEN)), HIDDEN),
    "attrs field without repr": (lambda r: r.data(Holder("x", HIDDEN)), HIDDEN),
    "header": (lambda r: r.headers({"X-Auth-Token": HIDDEN}), HIDDEN),
    "digest header": (lambda r: r.headers({"authorization": f'Digest a="b", response="{HIDDEN}"'}), HIDDEN),
    "bearer in a harmless header": (lambda r: r.headers({"X-Forwarded": f"Bearer {HIDDEN}"}), HIDDEN),
    "form": (lambda r: r.body(b"a=1&card%5Bcvc%5D=314159", FORM), "314159"),
    "form with blanks": (lambda r: r.body(b"n=4242+4242+4242+4242", FORM), "4242"),
    "form in bytes": (lambda r: r.data(b"grant_type=password&password=hunter2"), "hunter2"),
    "json in bytes": (lambda r: r.data(json.dumps({"password": HIDDEN}).encode()), HIDDEN),
    "cut json": (
        lambda r: r.body(json.dumps({"password": HIDDEN, "x": "y" * 20_000}).encode(), "application/json"),
        HIDDEN,
    ),
    "cut form": (lambda r: r.body(b"card%5Bcvc%5D=314159&x=" + b"y" * 20_000, FORM), "314159"),
    "cut inside": (
        lambda r: r.body(b'{"a":"' + b"x" * 16_340 + b'","pin":"hunter2', "application/json"),
        "hunter2",
    ),
    "bearer": (lambda r: r.text(f"sent Bearer {HIDDEN} to it"), HIDDEN),
    "bearer, quoted": (lambda r: r.text(f"sent Bearer%20{HIDDEN}"), HIDDEN),
    "basic": (lambda r: r.text("sent Basic " + b64("user:" + HIDDEN)), "dXNlcjp"),
    "authorization line": (lambda r: r.text(f"> Authorization: Zoho-oauthtoken {HIDDEN}\n> Host: x"), HIDDEN),
    "token line": (lambda r: r.text(f"Authorization: token {HIDDEN}"), HIDDEN),
    "cookie line": (lambda r: r.text(f"Cookie: a=b; c={HIDDEN}\nHost: x"), HIDDEN),
    "curl": (lambda r: r.text(f"curl -H 'X-Api-Key: {HIDDEN}' https://x.example"), HIDDEN),
    "userinfo": (lambda r: r.text(f"at https://ann:{HIDDEN}@x.example/y"), HIDDEN),
    "userinfo of a store": (lambda r: r.text(f"redis://:{HIDDEN}@localhost:6379/0"), HIDDEN),
    "userinfo with escaped slashes": (lambda r: r.text(f'{{"u":"https:\\/\\/ann:{HIDDEN}@x.example"}}'), HIDDEN),
    "query in text": (lambda r: r.text(f"GET https://x.example/?a=b&access_token={HIDDEN}&c=d failed"), HIDDEN),
    "query": (lambda r: r.url(f"https://x.example/?a=b&X-Amz-Signature={HIDDEN}"), HIDDEN),
    "nested url": (lambda r: r.url(f"https://x.example/?next=https%3A%2F%2Fy%3Fpassword%3D{HIDDEN}%26a%3Db"), HIDDEN),
    "nested url in text": (
        lambda r: r.text(f"https://x.example/?next=https%3A%2F%2Fy%3Fa%3Db%26pin%3D{HIDDEN}"),
        HIDDEN,
    ),
    "fragment": (lambda r: r.url(f"https://x.example/#access_token={HIDDEN}"), HIDDEN),
    "json text": (lambda r: r.text(f'got {{"client_secret": "{HIDDEN}", "a": 1}}'), HIDDEN),
    "json text, no quotes": (lambda r: r.text('{"pin":482913,"a":1}'), "482913"),
    "json text, tree": (lambda r: r.text(f'{{"credentials": {{"a": ["}}{HIDDEN}"]}}}}'), HIDDEN),
    "json text, cut tree": (lambda r: r.text(f'{{"credentials": {{"a": ["{HIDDEN}"'), HIDDEN),
    "json text, quote inside": (lambda r: r.text(r'{"password": "hun\"ter2tail", "a": 1}'), "ter2tail"),
    "json text, backslash at the end": (lambda r: r.text(r'{"a": "\\", "password": "hun\\\\", "b": 1}'), "hun"),
    "json in json text": (lambda r: r.text(json.dumps({"a": json.dumps({"password": 'hun"ter2tail'})})), "ter2tail"),
    "json in json in json text": (
        lambda r: r.text(json.dumps(json.dumps(json.dumps({"password": 'hun"ter2tail', "a": 1})))),
        "ter2tail",
    ),
    "repr of a dict": (lambda r: r.text(repr({"password": "it's hunter2"})), "hunter2"),
    "repr with both quotes": (lambda r: r.text(repr({"password": "it's \"hunter2"})), "hunter2"),
    "repr of bytes": (lambda r: r.text(repr({b"password": b"hunter2"})), "hunter2"),
    "repr of pairs": (lambda r: r.text(repr([("X-Api-Key", "hunter2")])), "hunter2"),
    "repr of attrs": (lambda r: r.text("Login(user='ann', password='hunter2', n=1)"), "hunter2"),
    "keyword": (lambda r: r.text("connect(password=hun,ter2)"), "ter2"),
    "escaped line break": (lambda r: r.text(r"failed\npin=482913"), "482913"),
    "yaml": (lambda r: r.text("credentials:\n  password: hunter2\n"), "hunter2"),
    "name after name": (lambda r: r.text("Bad credentials: password: hunter2"), "hunter2"),
    "two words": (lambda r: r.text("Incorrect API key: hunter2"), "hunter2"),
    "digit first": (lambda r: r.text("2fa_secret=hunter2"), "hunter2"),
    "connection string": (lambda r: r.text("Server=x;Uid=ann;Pwd=hunter2;"), "hunter2"),
    "xml": (lambda r: r.body(b"<a:r><SessionToken>hunter 2</SessionToken></a:r>", "text/xml"), "hunter"),
    "xml with prefix": (lambda r: r.text("<ns:password>hunter2</ns:password>"), "hunter2"),
    "jwt": (lambda r: r.text(f"got {JWT}."), JWT[20:60]),
    "jwt in a url": (lambda r: r.url(f"https://x.example/verify/{JWT}"), JWT[20:60]),
    "jwt, quoted": (lambda r: r.text(f"a%20{JWT}"), JWT[20:60]),
    "private key": (lambda r: r.data({"a": f"x{PEM}y"}), "MIIEvQ"),
    "private key, cut": (lambda r: r.text(PEM[:80]), "MIIEvQ"),
    "private key, escaped": (lambda r: r.text(json.dumps({"a": PEM})), "MIIEvQ"),
    **{
        f"shape {prefix}": (lambda r, prefix=prefix, rest=rest: r.data([f"it is {prefix}{rest}, right"]), rest[2:-5])
        for prefix, rest in {
            "sk_live_": MIXED,
            "sk_test_": MIXED,
            "rk_live_": MIXED,
            "SG.": "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc",
            "AKIA": "IOSFODNN7EXAMPLE",
            "ASIA": "IOSFODNN7EXAMPLE",
            "ghp_": MIXED,
            "gho_": MIXED,
            "github_pat_": f"{MIXED}_{MIXED}",
            "xoxb-": "123456789012-abcdefghijkl",
            "xoxp-": "123456789012-abcdefghijkl",
            "AIza": MIXED + "-_",
            "key-": "0123456789abcdef" * 2,
            "EAAA": MIXED,
            "pk.eyJ": f"1IjoiYW5uIiwiYSI6ImNrIn0.{MIXED}",
            "whsec_": MIXED + "+/=",
            "shpat_": "0123456789abcdef" * 2,
            "glpat-": MIXED,
            "npm_": MIXED,
            "pypi-AgE": MIXED,
            "ya29.": MIXED + "-_." + MIXED,
            "EZAK": MIXED * 2,
            "shippo_live_": "0123456789abcdef" * 2,
            "0123456789abcdef": "0123456789abcdef-us12",
            "xkeysib-": "0123456789abcdef" * 2,
            "sk-proj-": MIXED,
            "sk-": MIXED * 2,
        }.items()
    },
    **{
        f"card {number}": (lambda r, number=number: r.text(f"paid with {number} today"), number[5:-4])
        for number in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "5555-5555-5555-4444",
            "378282246310005",
            "3782 822463 10005",
            "4222222222222",
            "6011111111111117",
            "4242 4242 4242 4242 123",
        ]
    },
    "card as a number": (lambda r: r.data({"n": 4242424242424242}), "4242424242"),
    "e-mail": (lambda r: r.data({"to": "Ann Lee <ann.lee@example.com>"}), "nn.lee"),
    "e-mail, quoted": (lambda r: r.text("GET /lists/ann.lee%40example.com"), "nn.lee"),
    "e-mail in a path": (lambda r: r.url("https://x.example/lists/ann.lee%40example.com?a=b"), "nn.lee"),
    "e-mail in a header": (lambda r: r.headers({"From": "ann.lee@example.com"}), "nn.lee"),
    "e-mail as a key": (lambda r: r.data({"ann.lee@example.com": 1}), "nn.lee"),
    "phone": (lambda r: r.data({"to": "+4915112345789"}), "12345"),
    "phone in a form": (lambda r: r.body(b"To=%2B4915112345789", FORM), "12345"),
    "phone in a query": (lambda r: r.url("https://x.example/?To=%2B4915112345789"), "12345"),
}


@pytest.mark.parametrize("shape", UNKNOWN)
def test_a_secret_nobody_named_is_recognised(shape: str) -> None:
    """Key names and the shapes of secrets and personal data are enough to hide a value."""
    produce, secret = UNKNOWN[shape]
    assert secret not in json.dumps(produce(Redactor()), ensure_ascii=False)


@pytest.mark.parametrize("secret", [PLAIN, NASTY])
def test_known_values_are_needed_where_nothing_else_tells(secret: str) -> None:
    """The shapes above do carry the value: a redactor that does not know it lets most of them through."""
    carried = [shape for shape, produce in SHAPES.items() if leaks(produce(Redactor(), secret), secret)]
    assert len(carried) > 35


HARMLESS = {
    "id": "ch_3MtwBwLkdIwHu7ix28a3tqPa",
    "test_id": "cs_test_a1B2c3D4e5F6g7H8i9J0",
    "publishable_key": "pk_live_51H8aBcDeFgHiJkLmNoP",
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG",
    "account_sid": "AC" + "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "digits_uuid": "42424242-4242-4242-4242-424242424242",
    "created": 1_700_000_000,
    "created_ms": 1_700_000_000_002,
    "created_ns": 1_700_000_000_000_000_000,
    "created_text": "1700000000002",
    "created_at": "2024-01-15T10:30:45.123Z",
    "zone": "2024-01-15 10:30:45+01:00",
    "http_date": "Wed, 15 Jan 2024 10:30:45 GMT",
    "price": "1,234.50",
    "amount": 4999,
    "ratio": 0.4242424242424242,
    "ratio_text": "0.4242424242424242",
    "big": 4242424242424241,
    "snowflake": "1175928847299117063",
    "idempotency_key": "charge-01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "Idempotency-Key": "550e8400-e29b-41d4-a716-446655440000",
    "key": "uploads/2024/report.pdf",
    "keys": ["a", "b"],
    "token_type": "Bearer",
    "token_url": "https://id.crm.example/token",
    "token_endpoint": "https://id.crm.example/token",
    "next_page_token": "CAUQAA",
    "pageToken": "CAUQAA",
    "max_tokens": 4096,
    "total_tokens": 12,
    "authorization_id": "0VF52814937998046",
    "client_secret_expires_at": 0,
    "password_policy": "strong",
    "cvc_check": "pass",
    "expires_in": 3600,
    "author": "Ann",
    "secretary": "Ann",
    "pinned": True,
    "password": None,
    "has_password": True,
    "plan": "Basic plan",
    "notice": "Basic authentication is over; send a bearer token",
    "challenge": "Bearer realm=x",
    "user_agent": "nexus-connector/1.0 (urllib3/2.7; +https://crm.example)",
    "media": "application/vnd.api+json; charset=utf-8",
    "url": "https://api.crm.example:8443/v1/tokens/17?limit=10&cursor=abc&sort=-created",
    "link": "<https://api.crm.example/v1/items?page=2>; rel=next",
    "package": "urllib3@2.7.0",
    "question": "a > b, x=1: y -> z (it's fine)",
    "empty": "",
    "token": "",
    "nothing": {},
    "text": "Größe 20 €, 100 % sure",
    "version": "1.2.3",
    "ip": "192.168.100.200",
    "tracking": "1Z999AA10123456784",
    "hash": "d41d8cd98f00b204e9800998ecf8427e",
    "etag": 'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"',
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_not_secret_survives(name: str) -> None:
    """Numbers, ids, times, prices and the names that only sound secret come out as they went in."""
    record = {name: HARMLESS[name]}
    assert DEFAULT_REDACTOR.data(record) == record
    assert DEFAULT_REDACTOR.body(json.dumps(record).encode(), "application/json") == record


def test_headers_and_urls_without_secrets_survive() -> None:
    """Ordinary header fields and addresses are not touched, quoting included."""
    fields = {
        "Content-Type": "application/json",
        "Date": "Wed, 15 Jan 2024 10:30:45 GMT",
        "X-Request-Id": "req_8sYbQ2m",
    }
    assert DEFAULT_REDACTOR.headers(fields) == fields
    for url in [
        "/v1/a%20b/c+d?q=%C3%A9+x&empty=&flag#top",
        "https://x.example:8443/v1/session:refresh",
        "",
        "http://[::1/?a",
    ]:
        assert DEFAULT_REDACTOR.url(url) == url


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("", "****"),
        ("a", "****"),
        ("a" * 19, "****"),
        ("abcdefghijklmnopwxyz", "abcd****wxyz"),
        ("abcd****wxyz", "abcd****wxyz"),
        ("ab****cd", "****"),
        ("correct horse battery staple", "corr****aple"),
        ('{"a": "bcdefghijklmnopqrstuvwxyz"}', "****"),
        ("MDEyMzQ1Njc4OWFiY2RlZg==", "MDEy****Zg=="),
    ],
)
def test_mask_shows_ends_of_long_values_only(value: str, masked: str) -> None:
    """First and last four of 20 characters and more, nothing of less, and never twice."""
    assert mask(value) == masked
    assert mask(mask(value)) == masked


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc", "Authorization: Bearer ****"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZHBhc3N3b3Jk", "Authorization: Basic ****"),
        ("GET https://u:p@x.example/?token=a&b=c", "GET https://****@x.example/?token=****&b=c"),
        ('{"password": "x", "n": 1}', '{"password": "****", "n": 1}'),
        ('{"password": null, "n": 1}', '{"password": null, "n": 1}'),
        ("{'password': b'x', 'n': 1}", "{'password': b'****', 'n': 1}"),
        (r"{\"password\": \"x\", \"n\": 1}", r"{\"password\": \"****\", \"n\": 1}"),
        ("[('api-key', 'x'), ('n', '1')]", "[('api-key', '****'), ('n', '1')]"),
        ("Login(user='ann', password=hunter2)", "Login(user='ann', password=****)"),
        ("<password>x</password>", "<password>****</password>"),
        ("to ann.lee@example.com, +4915112345789", "to a***@example.com, +49151****789"),
        ("+12345678 and +14155552671", "+1****678 and +1415****671"),
        ("card 4242 4242 4242 4242 12/26", "card **** 12/26"),
        ("token " + "abcd" * 6, "token " + "abcd" * 6),
        ("Invalid password", "Invalid password"),
    ],
)
def test_text_keeps_what_is_around_a_secret(text: str, redacted: str) -> None:
    """Only the value goes: names, schemes, quotes and neighbours stay readable."""
    assert DEFAULT_REDACTOR.text(text) == redacted
    assert DEFAULT_REDACTOR.text(redacted) == redacted


def test_personal_data_may_stay() -> None:
    """`personal=False` leaves addresses and numbers alone, and nothing else."""
    redactor = Redactor(personal=False)
    assert redactor.data({"to": "ann@example.com", "phone": "+4915112345789", "pin": "1"}) == {
        "to": "ann@example.com",
        "phone": "+4915112345789",
        "pin": "****",
    }


def test_configured_names_are_secret_in_any_spelling() -> None:
    """Names from configuration join the built-in ones, case and separators aside."""
    redactor = Redactor(sensitive_keys=frozenset({"Tax-Number"}))
    assert redactor.data({"taxNumber": "x", "TAX_NUMBER": 5, "tax": 1}) == {
        "taxNumber": "****",
        "TAX_NUMBER": "****",
        "tax": 1,
    }
    assert redactor.text("tax number: x, tax_number=1234") == "tax number: x, tax_number=****"
    assert DEFAULT_REDACTOR.data({"taxNumber": "x"}) == {"taxNumber": "x"}


def test_secrets_of_a_call_join_those_of_the_configuration() -> None:
    """`with_secrets` adds, never changes what it was called on, and costs nothing when nothing is new."""
    base = Redactor(secrets=("static-secret",), max_text=500)
    more = base.with_secrets(["resolved-secret", "static-secret", ""])
    assert more.secrets == ("static-secret", "resolved-secret")
    assert more.max_text == 500
    assert more.text("static-secret resolved-secret") == "**** ****"
    assert base.text("resolved-secret") == "resolved-secret"
    assert base.with_secrets(["", "static-secret"]) is base
    assert more.with_secrets(iter(["resolved-secret"])) is more
    assert base.with_secrets(("resolved-secret",)) is base.with_secrets(["resolved-secret"])


def test_what_is_remembered_is_bounded() -> None:
    """Redactors, keys, URLs and header fields are worked out once while they repeat, and never pile up."""
    redactor = Redactor(secrets=("static-secret",))
    for number in range(10_000):
        key, value = f"a{number}", f"static-secret {number}"
        assert redactor.data({key: value}) == {key: f"**** {number}"}
        assert redactor.url(f"/x?{key}=static-secret") == f"/x?{key}=****"
        assert redactor.headers(Headers({key: value})) == {key: f"**** {number}"}
    for number in range(600):
        assert redactor.with_secrets([f"secret-{number}"]).text(f"secret-{number}") == "****"
    known, nets = vars_of(redactor, "_known"), vars_of(redactor, "_nets")
    sizes = [len(memo) for memo in (known.fields, known.urls, known.redactors, nets.keys)]
    assert all(0 < size <= limit for size, limit in zip(sizes, (128, 128, 256, 4096), strict=True)), sizes
    redactor.url("/" + "x" * 1000)
    redactor.headers(Headers({"a9999": "x" * 1000}))
    redactor.data({"k" * 1000: 1})
    assert [len(memo) for memo in (known.fields, known.urls, known.redactors, nets.keys)] == sizes


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("secret", [PLAIN, "ann@example.com", "123", "AKIAABCDEFGHIJKLMNOP", "x" * 3000])
def test_one_text_among_others_is_found_wherever_it_stands(secret: str, place: int) -> None:
    """The texts of a tree are looked at together: what has to go goes, and all others stay as they are."""
    texts = ["one", "two words", "2026-01-01T10:00:00Z", "https://crm.example/x"]
    texts[place] = secret
    redactor = Redactor(secrets=(PLAIN, "123"))
    hidden = cast("str", redactor.data(secret))
    assert hidden != secret
    wanted = [hidden if text == secret else text for text in texts]
    assert redactor.data(texts) == wanted
    assert redactor.data(dict(zip("abcd", texts, strict=True))) == dict(zip("abcd", wanted, strict=True))
    assert list(redactor.headers(Headers(zip("abcd", texts, strict=True))).values()) == wanted


def test_of_keys_that_look_the_same_the_last_one_counts() -> None:
    """A value that another one has replaced does not come back, whatever is hidden in it."""
    assert DEFAULT_REDACTOR.data({"1": "ann@example.com", 1: [5]}) == {"1": [5]}


def test_fields_called_name_and_value_are_a_pair_in_headers_too() -> None:
    """What stands under `value` beside a sensitive `name` is hidden, also where each field alone is harmless."""
    for headers in ({"name": "password", "value": HIDDEN}, Headers({"name": "password", "value": HIDDEN})):
        assert DEFAULT_REDACTOR.headers(headers) == {"name": "password", "value": "****"}


def test_neighbours_make_no_secret_together() -> None:
    """Texts that would be a card, a pair or a token only as one are left alone."""
    for texts in (["4242 4242", "4242 4242"], ["password", ": x"], ["bearer", "abcdefghijkl"], ["ann", "@example.com"]):
        assert DEFAULT_REDACTOR.data(texts) == texts
        assert DEFAULT_REDACTOR.data(dict(enumerate(texts))) == {str(n): text for n, text in enumerate(texts)}


def test_no_repr_shows_a_secret() -> None:
    """The redactor itself may be printed."""
    assert "hunter22" not in repr(Redactor(secrets=("hunter22",)))


def test_the_longest_value_wins() -> None:
    """A secret that contains another one goes as a whole."""
    redactor = Redactor(secrets=("secret", "secret-and-more"))
    assert redactor.text("x secret-and-more y secret") == "x **** y ****"


def test_short_values_count_only_as_a_whole() -> None:
    """A secret under six characters must not blot out every text that happens to contain it."""
    redactor = Redactor(secrets=("a", "1234"))
    assert redactor.data({"x": "banana", "y": "a", "z": 1234, "n": 12345, "t": "1234"}) == {
        "x": "banana",
        "y": "****",
        "z": "****",
        "n": 12345,
        "t": "****",
    }
    assert redactor.text("a") == "****"


def test_numbers_may_be_secrets() -> None:
    """A secret of digits is found where JSON has made a number of it."""
    assert Redactor(secrets=("90210777",)).data([90210777, 5, -90210777]) == ["****", 5, "-****"]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b' \r\n\t{"a": 1}\n', {"a": 1}),
        (b'{"a": 1} {"b": 2}', '{"a": 1} {"b": 2}'),
        (b'{"a": 1}\xc2\xa0', '{"a": 1}\xa0'),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a":', '{"a":'),
        (b" \n", " \n"),
    ],
)
def test_a_json_body_is_a_tree_if_all_of_it_is_json(body: bytes, shown: object) -> None:
    """Blanks around it do not matter; what has anything else before or behind it is text."""
    assert DEFAULT_REDACTOR.body(body, "application/json") == shown


def test_trees_come_out_as_plain_json() -> None:
    """Whatever comes in, the copy has the types of JSON, and the text of what JSON has no type for."""
    moment = datetime(2024, 1, 15, tzinfo=UTC)
    tree = {
        1: (1, 2),
        None: [float("nan"), float("inf"), -float("inf"), 1.5],
        b"k": bytearray(b"text"),
        "raw": b"\xff\x00",
        "colour": Colour.RED,
        "when": moment,
        "price": Decimal("1.50"),
        "uuid": UUID(int=5),
        "rude": Rude(),
        Rude: frozenset({1}),
        "holder": Holder("x", None),
        "huge": 10**5000,
        "error": ValueError("pin=1"),
        "pair": Pair("ann", "x"),
    }
    out = DEFAULT_REDACTOR.data(tree)
    assert json.loads(json.dumps(out, allow_nan=False)) == {
        "1": [1, 2],
        "None": ["nan", "inf", "-inf", 1.5],
        "k": "text",
        "raw": "<2 bytes>",
        "colour": "red",
        "when": str(moment),
        "price": "1.50",
        "uuid": "00000000-0000-0000-0000-000000000005",
        "rude": "<Rude>",
        str(Rude): [1],
        "holder": {"label": "x", "inner": "****"},
        "huge": "<number of 16610 bits>",
        "error": "ValueError: pin=****",
        "pair": {"user": "ann", "password": "****"},
    }


def test_trees_are_limited_in_depth_width_and_text() -> None:
    """Cycles, deep trees, endless ones and long texts end, with a mark where something is missing."""
    cycle: list[object] = []
    cycle += [cycle, cycle]
    assert len(json.dumps(DEFAULT_REDACTOR.data(cycle))) < 500_000
    deep: object = "leaf"
    for _ in range(25):
        deep = {"a": deep}
    assert json.dumps(DEFAULT_REDACTOR.data(deep)).count("{") == 20
    assert DEFAULT_REDACTOR.data([[0] * 9_000, [1] * 2_000, 3]) == [[0] * 9_000, "<2000 items>", 3]
    text = DEFAULT_REDACTOR.data("word " * 1000)
    assert isinstance(text, str)
    assert len(text) <= 2000
    assert text.endswith("…[cut]")
    assert DEFAULT_REDACTOR.data("word " * 400) == "word " * 400
    assert DEFAULT_REDACTOR.data({str(number): 1 for number in range(10_001)}) == "<10001 items>"


def test_any_number_of_names_can_be_seen() -> None:
    """What names mean is remembered, yet names without end do not fill the memory, and none is mistaken after."""
    for start in range(0, 50_000, 5_000):
        fields = {f"field {number}": number for number in range(start, start + 5_000)}
        assert DEFAULT_REDACTOR.data(fields | {"pin": 1}) == fields | {"pin": "****"}
    assert len(DEFAULT_REDACTOR._names) <= 4096


def test_depth_and_text_are_configurable() -> None:
    """The limits are fields of the redactor."""
    assert Redactor(max_depth=1).data({"a": {"b": 1}, "c": 2}) == {"a": "<deeper>", "c": 2}
    assert Redactor(max_text=100).data("x" * 200) != Redactor(max_text=200).data("x" * 200) == "x" * 200


@pytest.mark.parametrize(
    ("body", "media", "redacted"),
    [
        (b'{"pin": 1, "a": [1.5, null]}', "application/json", {"pin": "****", "a": [1.5, None]}),
        (b'\xef\xbb\xbf{"pin": 1}', "application/problem+json", {"pin": "****"}),
        (b'"text"', "application/json", "text"),
        (b'{"pin": 1', "application/json", '{"pin": ****'),
        (b"[" * 9000, "application/json", "[" * 9000),
        (b"a=1&a=2&pin=3&b=", FORM, {"a": ["1", "2"], "pin": "****", "b": ""}),
        (b"--x", "multipart/mixed; boundary=x", "<multipart 3 bytes>"),
        (b"pin=1", "text/plain; charset=utf-8", "pin=****"),
        (b"<pin>1</pin>", "application/xml", "<pin>****</pin>"),
        (b"text", "", "text"),
        (b"", "", ""),
        (b"abc", "image/png", "<3 bytes>"),
        (b"\xff", "text/plain", "<1 bytes>"),
        (b"a\0b", "text/plain", "<3 bytes>"),
    ],
)
def test_bodies_are_read_by_their_media_type(body: bytes, media: str, redacted: object) -> None:
    """JSON and forms become trees, text stays text, and of all else there is the size."""
    assert DEFAULT_REDACTOR.body(body, media) == redacted


def test_long_bodies_are_cut_between_letters_and_never_inside_a_secret() -> None:
    """Wherever the limit falls, no half of a secret or of a letter is left."""
    for offset in range(60):
        body = ("é" + "x" * (16_340 + offset) + PLAIN + "é" * 500).encode()
        text = Redactor(secrets=(PLAIN,)).body(body, "text/plain")
        assert isinstance(text, str)
        assert len(text) <= 16_384
        assert not leaks(text, PLAIN)
        assert PLAIN[:5] not in text.replace(mask(PLAIN), "")


def test_long_urls_are_cut_as_text() -> None:
    """A URL over the limit is still redacted."""
    url = DEFAULT_REDACTOR.url("https://u:p@x.example/?token=abc&x=" + "y" * 20_000)
    assert url.startswith("https://****@x.example/?token=****&x=yyy")
    assert len(url) <= 16_384


NASTY_PIECES = [
    *("a", "a.", "a-", "a=", "a:", "aa ", "%5Ba", "[a", "4", "4 ", "4242 ", "4242-", "+1", "%2B1", " ", "\n", "*"),
    *("password", "password=", 'password="', "password='", 'password=\\"', "\\", '\\"', "token={", "token=[", "{}"),
    *('token={"', "://", "://a", "@", "a@", "a@a", "a@a.", "eyJ", "eyJa.", ".eyJ", "-----BEGIN PRIVATE KEY-----"),
    *("-----BEGIN ", "&", "=", "Bearer ", "Basic a", "basic ", "SG.", "SG.aaaaaaaaaaa", "xoxb-", "sk_live_aaaaaaaa"),
    *("0123456789abcdef", "-us1", "cookie: ", "<password>", "(", "('", "('token', ", "key ", "…", "\ud800", "İ"),
]


@pytest.mark.parametrize("piece", NASTY_PIECES)
def test_hostile_text_takes_no_longer_than_other_text(piece: str) -> None:
    """No pattern runs away: a megabyte of the worst each pattern can be given is done at once."""
    text = piece * (1_000_000 // len(piece))
    Redactor(secrets=(PLAIN, NASTY), max_body_bytes=200_000).text(text[:200_000])
    redactor = Redactor(max_text=50_000, max_body_bytes=50_000)
    redactor.url(text[:50_000])
    redactor.data({text[:50_000]: text[:50_000]})
    DEFAULT_REDACTOR.data([text, text.encode("utf-8", "replace"), {text: text}])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(st.text(), inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=30,
)
PIECES = st.lists(
    st.sampled_from(
        [
            *NASTY_PIECES,
            PLAIN,
            NASTY,
            JWT,
            "ann@example.com",
            "+4915112345789",
            "4242424242424242",
            '"pin"',
            "****",
            "x",
        ]
    )
    | st.text(max_size=5)
).map("".join)
KNOWING = Redactor(secrets=(PLAIN, NASTY, "123"), max_text=200, max_body_bytes=300)


@given(JSON | st.recursive(PIECES, lambda inner: st.lists(inner) | st.dictionaries(PIECES, inner), max_leaves=8))
@settings(deadline=None, derandomize=True)
def test_any_tree_becomes_json_and_only_once(tree: object) -> None:
    """`data` raises for nothing, its output can always be written, and redacting it again changes nothing."""
    out = KNOWING.data(tree)
    json.dumps(out, allow_nan=False)
    assert KNOWING.data(out) == out


@given(PIECES | st.text())
@settings(deadline=None, derandomize=True)
def test_any_text_is_redacted_once(text: str) -> None:
    """`text` and `url` raise for nothing, leak no known value and settle at once."""
    for redact in (KNOWING.text, attrs.evolve(KNOWING, max_body_bytes=16_384).url):
        out = redact(text)
        assert redact(out) == out
        assert PLAIN not in out
        assert NASTY not in out


@given(
    st.binary() | PIECES.map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(["", "application/json", "text/plain", "a/x-www-form-urlencoded", "multipart/x", "x/y"])
    | st.text(),
)
@settings(deadline=None, derandomize=True)
def test_any_body_is_redacted(body: bytes, media: str) -> None:
    """`body` raises for nothing, and its output can always be written."""
    out = json.dumps(KNOWING.body(body, media), allow_nan=False, ensure_ascii=False)
    assert PLAIN not in out


@given(st.dictionaries(PIECES | st.text(), PIECES | st.text()))
@settings(deadline=None, derandomize=True)
def test_any_header_is_redacted(headers: dict[str, str]) -> None:
    """`headers` raises for nothing and settles at once."""
    out = KNOWING.headers(headers)
    assert all(type(part) is str for field in out.items() for part in field)
    assert KNOWING.headers(out) == out
