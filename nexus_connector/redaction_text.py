"""Secrets and personal data in free text: which names are secret, which shapes, and where their values end."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "****"
PLAIN, ODD, CARD, SECRET, LINE = range(5)  # what a key means; LINE: its value in free text may contain blanks

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
    r"-----BEGIN|J(?<=eyJ)|A(?:KIA|SIA|Iza)|EAAA|EZ[AT]K|_(?:(?:live|test)_|(?<=[a-z]_)"
    r"(?:(?<=gh[pousr]_)|(?<=whsec_)|(?<=_pat_)|(?<=shp[acps][ats]_)|(?<=npm_)))|-(?:us[0-9]|(?<=[a-z]-)(?:(?<=key-)"
    r"|(?<=glpat-)|(?<=pypi-)|(?<=sk-)|(?<=xox[a-z]-)|(?<=xkeysib-)))|\.(?:(?<=SG\.)|(?<=ya29\.))"
    + "".join(rf"|{digit}[0-9]{{3}}[ -]?[0-9]{{4}}(?:[ -]?[0-9]){{5}}" for digit in range(2, 7))
)
_SHAPED: Final = re.compile(_HINT)
_SUSPECT: Final = re.compile(  # a colon of a time or before // names nothing
    r"@|=|%|>|\+(?=[0-9])|\((?=b?['\"])|:(?!//)(?!(?<=[T :][0-9]{2}:)[0-9]{2})|" + _HINT
)
_SCHEMED: Final = re.compile(r"(?:bearer|basic)[ \t\n%+]", re.IGNORECASE)
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


def is_suspect(text: str) -> bool:
    """Say whether a text could hold anything that `hide_shapes` or `hide_pairs` would mask."""
    return _SUSPECT.search(text) is not None or _is_schemed(text)


def _is_schemed(text: str) -> bool:
    """Say whether a text names a scheme; a pattern without case would look at every letter of every text."""
    if text.isascii():
        small = text.lower()
        if "bearer" not in small and "basic" not in small:
            return False
    return _SCHEMED.search(text) is not None


def mask(value: str) -> str:
    """Hide a secret: first and last four characters of one of 20 and more, nothing of a shorter one.

    Ends that are not letters, digits or the usual marks of tokens are not shown either; a masked value stays as it is.

    >>> mask("sk_live_abcdefghijwxyz"), mask("hunter2")
    ('sk_l****wxyz', '****')
    """
    if len(value) < 20 and (len(value) != 12 or value[4:8] != HIDDEN):
        return HIDDEN
    return f"{value[:4]}{HIDDEN}{value[-4:]}" if _ENDS.fullmatch(value[:4] + value[-4:]) else HIDDEN


def veil(value: str) -> str:
    """Mask what stands under a sensitive name; of several words none is shown, as each may be a short secret."""
    scheme = _SCHEME.match(value) if " " in value else None
    kept = scheme[0] if scheme else ""
    shown = _ONE_WORD.fullmatch(value, len(kept)) and not (scheme and scheme[1])
    return kept + (mask(value[len(kept) :]) if shown else HIDDEN if value else "")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


class Names(dict[str, int]):
    """What each key means, worked out once: every record brings the same few."""

    def __init__(self, extra: frozenset[str]) -> None:
        super().__init__()
        self._extra = frozenset(map(_plain, extra))

    def __missing__(self, name: str) -> int:
        decoded = unquote(name)
        last = _plain(re.split(r"[\[\].]+", decoded.rstrip("[]."))[-1])
        odd = is_suspect(name) and hide_pairs(hide_shapes(name, personal=True), self) != name
        kind = CARD if last in {"card", "creditcard", "debitcard"} else ODD if odd else PLAIN
        for form in (_plain(decoded), last):
            if form in self._extra or (_SENSITIVE.search(form) and not _HARMLESS.search(form)):
                kind = LINE if form.endswith(("authorization", "cookie", "cookies")) else SECRET
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
    return HIDDEN if _luhn(found[0]) else f"{HIDDEN}{separator}{rest}" if _luhn(head) else found[0]


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
    shape = "element" if element else "line" if kind == LINE else "json" if name["quote"] else "bare"
    found = _VALUE_OF[shape].match(text, end)
    return start, end + len(found[0].rstrip("'\",;)]}\\")) if found else end


def hide_pairs(text: str, names: Names) -> str:
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
        if kind < SECRET or start < done:
            continue
        begin, end = _value(text, found, kind)
        value = text[begin:end]
        if value.lower() in _LITERALS or (_LABEL.fullmatch(value) and names[value[:-1]] >= SECRET):
            continue
        pieces += text[done:begin], veil(value)
        done = end
    return "".join(pieces) + text[done:]


def hide_shapes(text: str, *, personal: bool, cards: bool = True) -> str:
    """Mask what is recognisable by itself, whatever name it has."""
    if _SHAPED.search(text) or _is_schemed(text):
        text = _SHAPES.sub(lambda found: mask(found[0]), text)
        text = _BASIC.sub(rf"\1{HIDDEN}", _BEARER.sub(lambda found: found[1] + mask(found[2]), text))
        text = _CARD_NUMBER.sub(_hide_card, text) if cards else text
    if "@" in text or "%40" in text:
        text = _USERINFO.sub(rf"\1{HIDDEN}@", text) if "/" in text else text
        text = _EMAIL.sub(r"\1***\2", text) if personal else text
    return _PHONE.sub(rf"\1{HIDDEN}\2", text) if personal and ("+" in text or "%2" in text) else text


names_of = lru_cache(maxsize=64)(Names)
