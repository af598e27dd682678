"""The one redactor: takes secrets and personal data out of records, errors, events, exchanges and command line output.

Three nets, each for what the others miss: names of keys, shapes of well-known secrets, and the exact values that this
configuration and this call use, in every encoding in which they could turn up. Nothing here raises, whatever comes in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, unquote_plus

import attrs

from .headers import Headers
from .redaction_nets import Nets, remember
from .redaction_plain import plainer
from .redaction_text import CARD, HIDDEN, SECRET, Names, mask, names_of, veil
from .redaction_values import Exact, exact_values

__all__ = ["DEFAULT_REDACTOR", "Redactor", "mask"]

_FORM: Final = re.compile(r"[^\s=&{<\"]+=[^\s&]*+(?:&[^\s&]*+)*+")
_TEXTUAL: Final = re.compile(r"^text/|json|xml|javascript|yaml|x-www-form-urlencoded|graphql")
_MAX_DERIVED: Final = 256
_MAX_KNOWN: Final = 128  # URLs, and header fields, of a redactor
_MAX_KNOWN_TEXT: Final = 256
_LARGE: Final = 10**12  # a card number has more digits
_MAX_NODES: Final = 10_000  # of one tree: branches shared between nodes would otherwise multiply without end
_raw_decode: Final[Callable[[str], tuple[object, int]]] = json.JSONDecoder().raw_decode
_type: Final = cast("Callable[[object], Any]", type)  # for type checkers: what came in as Any stays Any


def _requoted(part: str, redact: Callable[[str], str]) -> str:
    plain = unquote_plus(part) if "%" in part or "+" in part else part
    clean = redact(plain)
    return part if clean == plain else quote(clean, safe="*@:/,;=!~'()$", errors="replace")


def _decoded(raw: bytes, whole: bool) -> str | None:
    try:
        return None if b"\0" in raw else raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return None if whole or error.start < len(raw) - 3 else raw[: error.start].decode().removeprefix("\ufeff")


def _parsed(text: str) -> object:
    """Parse JSON as ``json.loads`` does, in half of the time: every record has such a body, most of them small."""
    text = text.strip(" \t\n\r")
    value, end = _raw_decode(text)
    if end != len(text):
        message = "there is something behind it"
        raise ValueError(message)
    return value


@attrs.frozen
class _Known:
    """What a redactor made of the same few things before; all of it bounded."""

    fields: dict[tuple[str, str], tuple[str, str]] = attrs.field(factory=dict[tuple[str, str], tuple[str, str]])
    urls: dict[str, str] = attrs.field(factory=dict[str, str])
    redactors: dict[tuple[str, ...], Redactor] = attrs.field(factory=dict[tuple[str, ...], "Redactor"])


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
    _nets: Nets = attrs.field(init=False, repr=False, eq=False)
    _known: _Known = attrs.field(init=False, repr=False, eq=False, factory=_Known)

    def __attrs_post_init__(self) -> None:
        names, exact = names_of(self.sensitive_keys), exact_values(self.secrets)
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_nets", Nets(names, exact, personal=self.personal, max_text=self.max_text))

    def with_secrets(self, values: Iterable[str]) -> Redactor:
        """Return a redactor that knows these values too; itself when none is new.

        >>> Redactor().with_secrets(["hunter22"]).text("login with hunter22 failed")
        'login with **** failed'
        """
        values = tuple(values)
        known = self._known.redactors.get(values)  # every call brings the same few
        if known is None:
            new = tuple(dict.fromkeys(value for value in values if value and value not in self.secrets))
            known = attrs.evolve(self, secrets=self.secrets + new) if new else self
            remember(self._known.redactors, values, known, _MAX_DERIVED)
        return known

    def text(self, value: str) -> str:
        """Redact free text, such as error messages and log lines; cut at `max_body_bytes` characters.

        >>> DEFAULT_REDACTOR.text("POST https://u:p@crm.example/?token=abc from ann@example.com")
        'POST https://****@crm.example/?token=**** from a***@example.com'
        """
        return self._nets.text(value, self.max_body_bytes)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Redact header fields, by name and by content.

        >>> DEFAULT_REDACTOR.headers({"Authorization": "Bearer abc", "Accept": "*/*"})
        {'Authorization': 'Bearer ****', 'Accept': '*/*'}
        """
        if type(headers) is not Headers or "value" in headers:
            fields = cast("dict[str, object]", self._fields(headers, 1, [_MAX_NODES + len(headers)]))
            return {name: value if type(value) is str else str(value) for name, value in fields.items()}
        known, shown = self._known.fields, dict[str, str]()
        for field in headers.pairs():
            name, text = (known.get(field) if type(field[1]) is str else None) or self._header(*field)
            shown[name] = text
        return shown

    def _header(self, name: str, value: str) -> tuple[str, str]:
        fields = self.headers({name: value})
        [shown] = fields.items()
        small = type(value) is str and len(name) + len(value) <= _MAX_KNOWN_TEXT
        return remember(self._known.fields, (name, value), shown, _MAX_KNOWN) if small else shown

    def url(self, url: str) -> str:
        """Redact userinfo, query and fragment of a URL; in its path only what is recognisable by itself.

        >>> DEFAULT_REDACTOR.url("https://u:p@crm.example/v1/tokens/17?access_token=abc&limit=5")
        'https://****@crm.example/v1/tokens/17?access_token=****&limit=5'
        """
        known = self._known.urls.get(url)
        if known is None:
            known = self._url(url)
            if len(url) <= _MAX_KNOWN_TEXT:
                remember(self._known.urls, url, known, _MAX_KNOWN)
        return known

    def _url(self, url: str) -> str:
        if len(url) <= self.max_body_bytes:
            address, hash_, fragment = self._exact.hide(url).partition("#")
            path, mark, query = address.partition("?")
            path = _requoted(path, lambda part: self._nets.part(part, whole=False))
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
            return self._nets.text(value, self.max_text)
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
        return self._tree(plainer(value), depth - 1, budget)

    def _items(self, items: Any, depth: int, budget: list[int]) -> object:
        budget[0] -= len(items)
        if budget[0] < 0:
            return f"<{len(items)} items>"
        if _type(items) is tuple and len(items) == 2 and _type(items[0]) is str:
            name, meaning = self._nets.key(items[0])
            return [name, self._meant(items[1], meaning, depth, budget)]
        if set(map(type, items)) == {str} and self._nets.pass_all(items):
            return list(items)
        return [self._tree(item, depth, budget) for item in items]

    def _fields(self, source: Mapping[Any, Any], depth: int, budget: list[int]) -> object:
        budget[0] -= len(source)
        if budget[0] < 0:
            return f"<{len(source)} items>"
        keys, key_of, number = self._nets.keys, self._nets.key, not self._exact.numbers
        label = source.get("name", source.get("key")) if "value" in source else None  # HAR, Postman: {name, value}
        labelled = isinstance(label, str) and self._names[label] >= SECRET
        fields: dict[str, object] = {}
        texts: dict[str, str] = {}
        for key, value in source.items():
            name = key if type(key) is str else str(plainer(key))
            shown, meaning = keys.get(name) or key_of(name)
            kind = _type(value)
            if labelled and name == "value":
                meaning = SECRET
            if meaning:
                fields[shown] = self._meant(value, meaning, depth, budget)
            elif kind is str:
                fields[shown] = texts[shown] = value
            elif value is None or kind is bool or (kind is int and number and -_LARGE < value < _LARGE):
                fields[shown] = value
            else:
                fields[shown] = self._tree(value, depth, budget)
        if texts and not self._nets.pass_all(texts.values()):
            for name, text in texts.items():
                if fields[name] is text:  # another key may look the same by now, and the last one counts
                    fields[name] = self._nets.text(text, self.max_text)
        return fields

    def _meant(self, value: Any, meaning: int, depth: int, budget: list[int]) -> object:
        """Redact a value by what its key means."""
        if meaning >= SECRET:
            shown = value is None or value is True or value is False
            return value if shown else veil(value) if isinstance(value, str) else HIDDEN
        if meaning == CARD and _type(value) is dict and "number" in value:
            value = {**value, "number": HIDDEN}
        return self._tree(value, depth, budget)

    def _number(self, value: Any) -> object:
        if -_LARGE < value < _LARGE and not self._exact.numbers:
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if value.bit_length() > 512:
            return f"<number of {value.bit_length()} bits>"
        clean = self._nets.text(str(value), self.max_text)
        return value if clean == str(value) else clean

    def _bytes(self, raw: bytes, media: str, depth: int, budget: list[int]) -> object:
        is_json = "json" in media
        if media and not is_json and not _TEXTUAL.search(media):
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
        if whole and (is_json or text.lstrip()[:1] in {"{", "["}):
            try:
                return self._tree(_parsed(text), depth, budget)
            except (ValueError, RecursionError):
                return self._nets.text(text, self.max_body_bytes)
        return self._nets.text(text, self.max_body_bytes, cut=not whole)

    def _query(self, query: str) -> str:
        if not query:
            return query
        fields: list[str] = []
        for name, equals, value in (field.partition("=") for field in query.split("&")):
            redact = veil if self._names[unquote_plus(name)] >= SECRET else self._nets.part
            fields.append(_requoted(name, self._nets.part) + equals + _requoted(value, redact))
        return "&".join(fields)


DEFAULT_REDACTOR: Final = Redactor()
"""Knows no configuration: for reprs and whatever happens before there is one."""
