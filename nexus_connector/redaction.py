"""The one redactor: takes secrets and personal data out of records, errors, events, exchanges and command line output.

Three nets, each for what the others miss: names of keys, shapes of well-known secrets, and the exact values that this
configuration and this call use, in every encoding in which they could turn up. Nothing here raises, whatever comes in.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from enum import Enum
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, unquote_plus

import attrs

from .redaction_text import CARD, HIDDEN, ODD, SECRET, SUSPECT, Names, hide_pairs, hide_shapes, mask, names_of, veil
from .redaction_values import Exact, exact_values

__all__ = ["DEFAULT_REDACTOR", "Redactor", "mask"]

_FORM: Final = re.compile(r"[^\s=&{<\"]+=[^\s&]*+(?:&[^\s&]*+)*+")
_TEXTUAL: Final = re.compile(r"^text/|json|xml|javascript|yaml|x-www-form-urlencoded|graphql")
_MAX_NODES: Final = 10_000  # of one tree: branches shared between nodes would otherwise multiply without end
_type: Final = cast("Callable[[object], Any]", type)  # for type checkers: what came in as Any stays Any


def _requoted(part: str, redact: Callable[[str], str]) -> str:
    plain = unquote_plus(part)
    clean = redact(plain)
    return part if clean == plain else quote(clean, safe="*@:/,;=!~'()$", errors="replace")


def _decoded(raw: bytes, whole: bool) -> str | None:
    try:
        return None if b"\0" in raw else raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None if whole or error.start < len(raw) - 3 else raw[: error.start].decode()


_PLAINER: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    ((bytearray, memoryview), bytes),
    (Mapping, dict),
    (tuple, lambda value: dict(zip(value._fields, value, strict=False)) if hasattr(value, "_fields") else list(value)),
    ((AbstractSet, list, deque), list),
    (bytes, lambda value: value.decode("utf-8", "replace")),
    (BaseException, lambda value: f"{type(value).__name__}: {value}"),
    (object, str),
)


def _plainer(value: Any) -> object:
    """Turn what JSON does not know into something nearer to it, at last its text."""
    kind = _type(value)
    try:
        fields = getattr(kind, "__attrs_attrs__", None) or getattr(kind, "__dataclass_fields__", {}).values()
        if fields:
            return {field.name: getattr(value, field.name) if field.repr else HIDDEN for field in fields}
        return next(convert for base, convert in _PLAINER if issubclass(kind, base))(value)
    except Exception:  # a foreign object may raise anything, and a record is owed all the same
        return f"<{kind.__name__}>"


@attrs.frozen(kw_only=True)
class Redactor:
    """Redacts for one configuration; immutable, cheap to derive from, never raises.

    Attributes:
        sensitive_keys: Names of keys that are secret beside the built-in ones; case and separators do not matter.
        secrets: Exact values; those under 6 characters count only where they are the whole value.
        personal: Whether e-mail addresses and phone numbers (E.164) are partly hidden too.
        max_text: Characters of one text inside a tree or header.
        max_depth: Levels of a tree.
        max_body_bytes: Bytes of a body, characters of a free text.

    >>> Redactor(secrets=("hunter22",)).data({"note": "it is hunter22", "api_key": "k", "amount": 500})
    {'note': 'it is ****', 'api_key': '****', 'amount': 500}
    """

    sensitive_keys: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    personal: bool = True
    max_text: int = 2000
    max_depth: int = 20
    max_body_bytes: int = 16_384
    _names: Names = attrs.field(init=False, repr=False, eq=False)
    _exact: Exact = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_names", names_of(self.sensitive_keys))
        object.__setattr__(self, "_exact", exact_values(self.secrets))

    def with_secrets(self, values: Iterable[str]) -> Redactor:
        """Return a redactor that knows these values too; itself when none is new.

        >>> Redactor().with_secrets(["hunter22"]).text("login with hunter22 failed")
        'login with **** failed'
        """
        new = tuple(dict.fromkeys(value for value in values if value and value not in self.secrets))
        return attrs.evolve(self, secrets=self.secrets + new) if new else self

    def text(self, value: str) -> str:
        """Redact free text, such as error messages and log lines; cut at `max_body_bytes` characters.

        >>> DEFAULT_REDACTOR.text("POST https://u:p@crm.example/?token=abc from ann@example.com")
        'POST https://****@crm.example/?token=**** from a***@example.com'
        """
        return self._clean(value, self.max_body_bytes)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Redact header fields, by name and by content.

        >>> DEFAULT_REDACTOR.headers({"Authorization": "Bearer abc", "Accept": "*/*"})
        {'Authorization': 'Bearer ****', 'Accept': '*/*'}
        """
        fields = cast("dict[str, object]", self._fields(headers, 1, [_MAX_NODES + len(headers)]))
        return {name: value if type(value) is str else str(value) for name, value in fields.items()}

    def url(self, url: str) -> str:
        """Redact userinfo, query and fragment of a URL; in its path only what is recognisable by itself.

        >>> DEFAULT_REDACTOR.url("https://u:p@crm.example/v1/tokens/17?access_token=abc&limit=5")
        'https://****@crm.example/v1/tokens/17?access_token=****&limit=5'
        """
        if len(url) <= self.max_body_bytes:
            address, hash_, fragment = self._exact.hide(url).partition("#")
            path, mark, query = address.partition("?")
            path = _requoted(path, lambda part: self._redact(part, whole=False))
            url = path + mark + self._query(query) + hash_ + self._query(fragment)
        return url if len(url) <= self.max_body_bytes else self.text(url)

    def data(self, value: object) -> object:
        """Return a copy of a tree that is safe to show and to write as JSON; what JSON does not know becomes text.

        >>> DEFAULT_REDACTOR.data({"card": {"number": "4242424242424242", "brand": "visa"}, "raw": b'{"pin": 1234}'})
        {'card': {'number': '****', 'brand': 'visa'}, 'raw': {'pin': '****'}}
        """
        return self._tree(value, self.max_depth, [_MAX_NODES])

    def body(self, body: bytes, content_type: str) -> object:
        """Redact a body by its media type: a tree for JSON and forms, text for text, the size of all else.

        >>> DEFAULT_REDACTOR.body(b"grant_type=password&password=abc", "application/x-www-form-urlencoded")
        {'grant_type': 'password', 'password': '****'}
        """
        media = content_type.partition(";")[0].strip().lower()
        return self._bytes(body, media, self.max_depth, [_MAX_NODES])

    def _tree(self, value: Any, depth: int, budget: list[int]) -> object:
        kind = _type(value)
        if kind is str:
            return self._clean(value, self.max_text)
        if kind is int or kind is float:
            return self._number(value)
        if value is None or kind is bool:
            return value
        if depth <= 0:
            return "<deeper>"
        if kind is dict:
            return self._fields(value, depth - 1, budget)
        if kind is list or kind is tuple:
            return self._items(value, depth - 1, budget)
        if kind is bytes:
            return self._bytes(value, "", depth, budget)
        return self._tree(_plainer(value), depth - 1, budget)

    def _items(self, items: Any, depth: int, budget: list[int]) -> object:
        budget[0] -= len(items)
        if budget[0] < 0:
            return f"<{len(items)} items>"
        if _type(items) is tuple and len(items) == 2 and _type(items[0]) is str:
            return list(self._named(items[0], items[1], self._names[items[0]], depth, budget))
        return [self._tree(item, depth, budget) for item in items]

    def _fields(self, source: Mapping[Any, Any], depth: int, budget: list[int]) -> object:
        budget[0] -= len(source)
        if budget[0] < 0:
            return f"<{len(source)} items>"
        names, shortest, limit, suspect = self._names, self._exact.shortest, self.max_text, SUSPECT.search
        label = source.get("name", source.get("key")) if "value" in source else None  # HAR, Postman: {name, value}
        labelled = isinstance(label, str) and names[label] >= SECRET
        fields: dict[str, object] = {}
        for key, value in source.items():
            name = key if type(key) is str else str(_plainer(key))
            meaning, kind = names[name], _type(value)
            if meaning or labelled or len(name) >= shortest:
                meaning = SECRET if labelled and name == "value" else meaning
                name, item = self._named(name, value, meaning, depth, budget)
                fields[name] = item
            elif kind is str:
                size = len(value)
                if size < shortest and ((size < 12 and value.isalnum()) or (size <= limit and not suspect(value))):
                    fields[name] = value  # most texts of most records
                else:
                    fields[name] = self._clean(value, limit)
            else:
                fields[name] = value if value is None or kind is bool else self._tree(value, depth, budget)
        return fields

    def _named(self, name: str, value: Any, meaning: int, depth: int, budget: list[int]) -> tuple[str, object]:
        if meaning == ODD or len(name) >= self._exact.shortest:
            name = self._clean(name, self.max_text)
            meaning = max(meaning, self._names[name])
        if meaning >= SECRET:
            shown = value is None or value is True or value is False
            return name, value if shown else veil(value) if isinstance(value, str) else HIDDEN
        if meaning == CARD and _type(value) is dict and "number" in value:
            value = {**value, "number": HIDDEN}
        return name, self._tree(value, depth, budget)

    def _number(self, value: Any) -> object:
        if -(10**12) < value < 10**12 and not self._exact.numbers:
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if value.bit_length() > 512:
            return f"<number of {value.bit_length()} bits>"
        clean = self._clean(str(value), self.max_text)
        return value if clean == str(value) else clean

    def _bytes(self, raw: bytes, media: str, depth: int, budget: list[int]) -> object:
        if media and not _TEXTUAL.search(media):
            return f"<{'multipart ' if media.startswith('multipart/') else ''}{len(raw)} bytes>"
        whole = len(raw) <= self.max_body_bytes
        text = _decoded(raw[: self.max_body_bytes + self._exact.longest], whole)
        if text is None:
            return f"<{len(raw)} bytes>"
        if whole and ("urlencoded" in media or (not media and _FORM.fullmatch(text))):
            fields: dict[str, list[str]] = {}
            for name, value in parse_qsl(text, keep_blank_values=True):
                fields.setdefault(name, []).append(value)
            return self._tree({name: v if len(v) > 1 else v[0] for name, v in fields.items()}, depth, budget)
        if whole and ("json" in media or text.lstrip()[:1] in {"{", "["}):
            with suppress(ValueError, RecursionError):
                return self._tree(json.loads(text), depth, budget)
        return self._clean(text, self.max_body_bytes, cut=not whole)

    def _clean(self, text: str, limit: int, *, cut: bool = False) -> str:
        longest = self._exact.longest
        window = text[: limit + longest]
        done = self._redact(window)
        if cut or len(window) < len(text):
            done = done[:-longest]  # where the text was cut there may stand one half of a secret, unrecognisable
        elif len(done) <= limit:
            return done
        return self._redact(f"{done[: limit - 16]}…[cut]")

    def _redact(self, text: str, *, whole: bool = True) -> str:
        text = self._exact.hide(text)
        for _ in range(8):  # what a mask leaves over may look like a secret only now that it stands alone
            if not SUSPECT.search(text):
                break
            before, text = text, hide_shapes(text, personal=self.personal, cards=whole)
            text = hide_pairs(text, self._names) if whole else text
            if text == before or HIDDEN not in text:
                break
        return text

    def _query(self, query: str) -> str:
        fields: list[str] = []
        for name, equals, value in (field.partition("=") for field in query.split("&")):
            redact = veil if self._names[unquote_plus(name)] >= SECRET else self._redact
            fields.append(_requoted(name, self._redact) + equals + _requoted(value, redact))
        return "&".join(fields)


DEFAULT_REDACTOR: Final = Redactor()
"""Knows no configuration: for reprs and whatever happens before there is one."""
