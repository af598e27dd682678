"""The one redactor: takes secrets and personal data out of records, errors, events, exchanges and command line output.

Three nets, each for what the others miss: names of keys, shapes of well-known secrets, and the exact values that this
configuration and this call use, in every encoding in which they could turn up. Nothing here raises, whatever comes in.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

import attrs

__all__ = ["DEFAULT_REDACTOR", "Redactor", "mask"]

_HIDDEN: Final = "****"
_PLAIN, _ODD, _CARD, _SECRET, _LINE = range(5)  # what a key means; _LINE: its value in free text may contain blanks

_SENSITIVE: Final = re.compile(
    r"secret(?!ar)|passw|passphrase|passcode|credential|connectionstring|cardnumber|accountnumber|codeverifier"
    r"|(?:api|private|access|signing|encryption|master|auth|shared|subscription|account|server|session)key(?!id$)"
    r"|(?:security|verification|authorization)code|(?:access|refresh|auth|api|session|bearer)tokens$"
    r"|token(?:value|hash|string|key)?$|(?:authorization|cookies?|signature(?:key|256)?|assertion|bearer|jwt)$"
    r"|(?:pwd|iban|cvv2?|cvc2?)$|^(?:x?auth|basicauth|session(?:id)?|phpsessid|jsessionid|t?otp|pin|ssn|sig)$"
)
_HARMLESS: Final = re.compile(
    r"(?:page|pagination|next|sync|continuation|cursor|resume|clientrequest)token$|(?:type|ur[li]|endpoint|expir(?:y|esat"
    r"|esin)|edat|name|length|count|policy|required|enabled|status|check)$"
)
_HINT: Final = (  # of a shape or a card; each branch begins with a rare letter: ordinary text is skipped at full speed
    r"-----BEGIN|J(?<=eyJ)|A(?:KIA|SIA|Iza)|EAAA|EZ[AT]K|xox[a-z]-|xkeysib-|_(?:(?:live|test)_|(?<=[a-z]_)"
    r"(?:(?<=gh[pousr]_)|(?<=whsec_)|(?<=_pat_)|(?<=shp[acps][ats]_)|(?<=npm_)))|-(?:us[0-9]|(?<=[kyti]-)(?:(?<=key-)"
    r"|(?<=glpat-)|(?<=pypi-)|(?<=sk-)))|\.(?:(?<=SG\.)|(?<=ya29\.))|"
    + "|".join(rf"{blank}(?:(?<=(?i:bearer).)|(?<=(?i:basic).))" for blank in (" ", r"\t", r"\n", "%", r"\+"))
    + "".join(rf"|{digit}[0-9]{{3}}[ -]?[0-9]{{4}}(?:[ -]?[0-9]){{5}}" for digit in range(2, 7))
)
_SHAPED: Final = re.compile(_HINT, re.DOTALL)
_SUSPECT: Final = re.compile(  # a colon of a time or before // names nothing
    r"@|=|%|>|\+(?=[0-9])|\((?=b?['\"])|:(?!//)(?!(?<=[T :][0-9]{2}:)[0-9]{2})|" + _HINT, re.DOTALL
)
_SHAPES: Final = re.compile(
    r"(?:-----BEGIN[A-Z ]*PRIVATE KEY[A-Z ]*-----(?s:.*?)(?:-----END[A-Z ]*PRIVATE KEY[A-Z ]*-----|\Z)"
    r"|(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]+\.[\w-]+|[sr]k_(?:live|test)_\w{4,}|sk-(?:proj|ant)-[\w-]{16,}"
    r"|sk-[A-Za-z0-9]{32,}|SG\.[\w-]{10,}\.[\w-]{10,}|A(?:KI|SI)A[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_\w{16,}|xox[a-z]-[\w-]{8,}|AIza[\w-]{20,}|key-[0-9a-f]{32}|(?<![\w+/=-])EAAA[\w-]{20,}|whsec_[\w+/=]{8,}"
    r"|shp(?:at|ca|pa|ss)_\w{16,}|glpat-[\w-]{10,}|npm_[A-Za-z0-9]{20,}|pypi-AgE[\w-]{8,}|ya29\.[\w.-]{16,}"
    r"|EZ[AT]K[A-Za-z0-9]{40,}|shippo_(?:live|test)_\w{8,}|xkeysib-[\w-]{16,}|(?<!\w)[0-9a-f]{32}-us[0-9]{1,2})"
    r"(?:[.-]\w++)*+"
)
_ENDS: Final = re.compile(r"[\w.~+/-]{4,8}=*")
_ONE_WORD: Final = re.compile(r"[\w.~+/*-]+=*")
_USERINFO: Final = re.compile(r'(:(?:\\?/){2})[^\s/?#"<>\\]*@')
_BEARER: Final = re.compile(
    r"\b(bearer(?:\s+|%20|\+))(?!(?:tokens?|auth\w*|credentials?|realm|scheme|header|format|error)\b)([^\s,;\"'<>&\\]+)",
    re.IGNORECASE,
)
_BASIC: Final = re.compile(r"\b((?:[Bb]asic|BASIC)(?:\s+|%20))(?=[\w+/]*(?:[0-9+/=]|[a-z][A-Z]))[\w+/=-]{6,}")
_SCHEME: Final = re.compile(r"(?:bearer|token|apikey|(basic|digest))\s+(?=\S)", re.IGNORECASE)
_CARD_NUMBER: Final = re.compile(
    r"(?<![\w.])(?<![0-9a-fA-F]-)(?:3[47][0-9]{2}([ -])[0-9]{6}\1[0-9]{5}"
    r"|[2-6][0-9]{3}([ -]?)[0-9]{4}\2[0-9]{4}\2[0-9]{1,4}(?:\2[0-9]{1,3})?)(?!\w|\.[0-9])"
)
_EMAIL: Final = re.compile(r"(?<![\w.+*-])([\w.+*-])[\w.+*-]*+(@|%40)(?=(?:[\w-]++\.)++[^\W\d])")
_PHONE: Final = re.compile(r"(?<![\w+])((?:\+|%2[Bb])[1-9][0-9]{0,4})[0-9]{4,7}([0-9]{3})(?![0-9])")
_JOINT: Final = re.compile(r"[:=>%(]")
_NAME: Final = re.compile(  # possessive throughout: each letter is looked at once, whatever the text
    r"(?:(?<![\w.%\[\]-])|(?<=%[0-9A-Fa-f]{2}))(?P<name>[0-9]?[^\W\d][\w.\[\]-]*+(?:[ ][Kk][Ee][Yy])?)(?:%5[Dd])*+"
    r"(?P<quote>\\*+[\"']?+)[ \t]*+(?P<joint>=>|[:=>,]|%3[DdAa])[ \t]*+"
)
_OPENING: Final = re.compile(r"[bBuUrR]{0,2}(\\*+)([\"'])")
_CLOSING: Final = {mark: re.compile(rf"(?<!\\)\\*+{mark}") for mark in "\"'"}
_VALUE_OF: Final = {
    "json": re.compile(r'[^\s,}\]&"]+'),
    "line": re.compile(r"[^\r\n\"']+"),
    "bare": re.compile(r'(?:(?i:bearer|token|apikey|basic|digest)[ ]+)?[^\s&"<>]+'),
    "element": re.compile(r"[^<]+"),
}
_LITERALS: Final = frozenset({"null", "none", "true", "false"})
_LABEL: Final = re.compile(r"[\w.-]+:")


def mask(value: str) -> str:
    """Hide a secret: first and last four characters of one of 20 and more, nothing of a shorter one.

    Ends that are not letters, digits or the usual marks of tokens are not shown either; a masked value stays as it is.

    >>> mask("sk_live_abcdefghijwxyz"), mask("hunter2")
    ('sk_l****wxyz', '****')
    """
    if len(value) < 20 and (len(value) != 12 or value[4:8] != _HIDDEN):
        return _HIDDEN
    return f"{value[:4]}{_HIDDEN}{value[-4:]}" if _ENDS.fullmatch(value[:4] + value[-4:]) else _HIDDEN


def _veil(value: str) -> str:
    """Mask what stands under a sensitive name; of several words none is shown, as each may be a short secret."""
    scheme = _SCHEME.match(value) if " " in value else None
    kept = scheme[0] if scheme else ""
    shown = _ONE_WORD.fullmatch(value, len(kept)) and not (scheme and scheme[1])
    return kept + (mask(value[len(kept) :]) if shown else _HIDDEN if value else "")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


class _Names(dict[str, int]):
    """What each key means, worked out once: every record brings the same few."""

    def __init__(self, extra: frozenset[str]) -> None:
        super().__init__()
        self._extra = frozenset(map(_plain, extra))

    def __missing__(self, name: str) -> int:
        decoded = unquote(name)
        last = _plain(re.split(r"[\[\].]+", decoded.rstrip("[]."))[-1])
        odd = _SUSPECT.search(name) and _hide_pairs(_hide_shapes(name, personal=True), self) != name
        kind = _CARD if last in {"card", "creditcard", "debitcard"} else _ODD if odd else _PLAIN
        for form in (_plain(decoded), last):
            if form in self._extra or (_SENSITIVE.search(form) and not _HARMLESS.search(form)):
                kind = _LINE if form.endswith(("authorization", "cookie", "cookies")) else _SECRET
        if len(self) >= 4096:
            self.clear()
        if len(name) <= 64:
            self[name] = kind
        return kind


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number) if digit.isdecimal()]
    return len(digits) > 12 and sum(d if n % 2 == 0 else d * 2 - 9 * (d > 4) for n, d in enumerate(digits)) % 10 == 0


def _hide_card(found: re.Match[str]) -> str:
    separator = found[1] or found[2] or "\0"
    head, _, rest = found[0].rpartition(separator)  # "4242 4242 4242 4242 123": a number and its code
    return _HIDDEN if _luhn(found[0]) else f"{_HIDDEN}{separator}{rest}" if _luhn(head) else found[0]


def _closing(text: str, opening: re.Match[str]) -> int:
    """Find the end of a quoted text: in escaped text its quote has no more backslashes before it than the first."""
    depth = len(opening[1])
    for found in _CLOSING[opening[2]].finditer(text, opening.end()):
        run = len(found[0]) - 1
        if (run <= depth) if depth else (run % 2 == 0):
            return found.start() if depth else found.end() - 1
    return len(text)


def _value(text: str, name: re.Match[str], kind: int) -> tuple[int, int]:
    """Find where the value of a sensitive name begins and ends in free text; in doubt it ends later."""
    start, before = name.end(), text[max(0, name.start() - 3) : name.start()]
    opening = _OPENING.match(text, start)
    element, pair = name["joint"] == ">", name["joint"] == ","
    if (element and not before.endswith(("<", ":"))) or (pair and not ("(" in before and name["quote"] and opening)):
        return start, start
    if opening and not element:
        return opening.end(), _closing(text, opening)
    end = start
    if text.startswith(("{", "["), start):
        try:
            end = json.JSONDecoder().raw_decode(text, start)[1]
        except (ValueError, RecursionError):
            return start, len(text)
    shape = "element" if element else "line" if kind == _LINE else "json" if name["quote"] else "bare"
    found = _VALUE_OF[shape].match(text, end)
    return start, end + len(found[0].rstrip("'\",;)]}\\")) if found else end


def _hide_pairs(text: str, names: _Names) -> str:
    """Mask values of sensitive names in free text: JSON, reprs, forms, header lines, XML, whole or cut off."""
    if not _JOINT.search(text):
        return text
    pieces: list[str] = []
    done = 0
    for found in _NAME.finditer(text):
        name, start = found["name"], found.start()
        kind = names[name]
        if text[max(0, start - 1) : start] == "\\":  # "\npassword=" with the line break escaped
            kind = max(kind, names[name[1:]])
        if kind < _SECRET or start < done:
            continue
        begin, end = _value(text, found, kind)
        value = text[begin:end]
        if value.lower() in _LITERALS or (_LABEL.fullmatch(value) and names[value[:-1]] >= _SECRET):
            continue
        pieces += text[done:begin], _veil(value)
        done = end
    return "".join(pieces) + text[done:]


def _hide_shapes(text: str, *, personal: bool, cards: bool = True) -> str:
    """Mask what is recognisable by itself, whatever name it has."""
    if _SHAPED.search(text):
        text = _SHAPES.sub(lambda found: mask(found[0]), text)
        text = _BASIC.sub(rf"\1{_HIDDEN}", _BEARER.sub(lambda found: found[1] + mask(found[2]), text))
        text = _CARD_NUMBER.sub(_hide_card, text) if cards else text
    if "@" in text or "%40" in text:
        text = _USERINFO.sub(rf"\1{_HIDDEN}@", text) if "/" in text else text
        text = _EMAIL.sub(r"\1***\2", text) if personal else text
    return _PHONE.sub(rf"\1{_HIDDEN}\2", text) if personal and ("+" in text or "%2" in text) else text


def _forms(secret: str) -> set[str]:
    """Every encoding in which a secret may turn up inside other text."""
    forms = {secret, *(line.strip() for line in secret.splitlines() if len(line) > 15 and not line.startswith("--"))}
    for text in (secret, secret.strip()):
        raw = text.encode("utf-8", "surrogatepass")
        escaped = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]]
        quoted = [quote(raw), quote(raw, safe=""), quote_plus(raw), quote(raw, safe="!~*'()")]
        forms |= {text, *escaped, *(json.dumps(form)[1:-1] for form in escaped), *quoted}
        forms |= {re.sub("%..", lambda code: code[0].lower(), form) for form in quoted}
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
            # inside a longer text (user:secret) base64 depends on the place modulo three; what does not is the middle
            forms |= {encode(b"\0" * n + raw).decode()[(n * 8 + 5) // 6 : (n + len(raw)) * 8 // 6] for n in (0, 1, 2)}
    return {form for form in forms if len(form) >= 6}


class _Exact:
    """The exact values in all their forms, longest first: the few long ones one by one, the others as one pattern."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._masks = {form: mask(secret) for secret in secrets if len(secret) >= 6 for form in _forms(secret)}
        self._short = frozenset(secret for secret in secrets if len(secret) < 6)
        forms = sorted(self._masks, key=len, reverse=True)
        self._long = [form for form in forms if len(form) > 128]  # a private key takes a tenth of a second to compile
        by_letter: dict[str, list[str]] = {}
        for form in forms[len(self._long) :]:
            by_letter.setdefault(form[0], []).append(re.escape(form[1:]))
        branches = [f"{re.escape(letter)}(?:{'|'.join(rest)})" for letter, rest in by_letter.items()]
        self._pattern = re.compile("|".join(branches) or "(?!)")
        self.shortest = min(map(len, (*forms, *self._short)), default=1 << 62)
        self.longest = max([256, *map(len, forms)])
        self.numbers = any(map(str.isdecimal, secrets))

    def hide(self, text: str) -> str:
        """Mask every known value in a text."""
        if len(text) < self.shortest:
            return text
        if text in self._short:
            return _HIDDEN
        for form in self._long:
            text = text.replace(form, self._masks[form])
        return self._pattern.sub(lambda found: self._masks[found[0]], text)


# Every call derives a redactor from the same few credentials, and compiling them costs more than a whole call.
_shared_names = lru_cache(maxsize=64)(_Names)
_shared_exact = lru_cache(maxsize=256)(_Exact)
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
            return {field.name: getattr(value, field.name) if field.repr else _HIDDEN for field in fields}
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
    _names: _Names = attrs.field(init=False, repr=False, eq=False)
    _exact: _Exact = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_names", _shared_names(self.sensitive_keys))
        object.__setattr__(self, "_exact", _shared_exact(self.secrets))

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
        names, shortest, limit, suspect = self._names, self._exact.shortest, self.max_text, _SUSPECT.search
        label = source.get("name", source.get("key")) if "value" in source else None  # HAR, Postman: {name, value}
        labelled = isinstance(label, str) and names[label] >= _SECRET
        fields: dict[str, object] = {}
        for key, value in source.items():
            name = key if type(key) is str else str(_plainer(key))
            meaning, kind = names[name], _type(value)
            if meaning or labelled or len(name) >= shortest:
                meaning = _SECRET if labelled and name == "value" else meaning
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
        if meaning == _ODD or len(name) >= self._exact.shortest:
            name = self._clean(name, self.max_text)
            meaning = max(meaning, self._names[name])
        if meaning >= _SECRET:
            shown = value is None or value is True or value is False
            return name, value if shown else _veil(value) if isinstance(value, str) else _HIDDEN
        if meaning == _CARD and _type(value) is dict and "number" in value:
            value = {**value, "number": _HIDDEN}
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
            if not _SUSPECT.search(text):
                break
            before, text = text, _hide_shapes(text, personal=self.personal, cards=whole)
            text = _hide_pairs(text, self._names) if whole else text
            if text == before or _HIDDEN not in text:
                break
        return text

    def _query(self, query: str) -> str:
        fields: list[str] = []
        for name, equals, value in (field.partition("=") for field in query.split("&")):
            redact = _veil if self._names[unquote_plus(name)] >= _SECRET else self._redact
            fields.append(_requoted(name, self._redact) + equals + _requoted(value, redact))
        return "&".join(fields)


DEFAULT_REDACTOR: Final = Redactor()
"""Knows no configuration: for reprs and whatever happens before there is one."""
