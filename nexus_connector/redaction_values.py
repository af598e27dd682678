"""Exact secret values, found in every encoding in which they could turn up."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

from .redaction_text import HIDDEN, mask

_LONG: Final = 128  # characters; to compile a private key takes a tenth of a second


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


class Exact:
    """The exact values in all their forms, longest first: the few long ones one by one, the others as one pattern.

    Nearly every text holds none of them, and says so at the speed of a search for words: the cores are the forms that
    hold no other one, and a text without a core is a text without a form. The pattern is compiled for the first hit.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._masks = {form: mask(secret) for secret in secrets if len(secret) >= 6 for form in _forms(secret)}
        self._forms = sorted(self._masks, key=len, reverse=True)
        self._pattern: re.Pattern[str] | None = None
        cores: list[str] = []
        for form in reversed(self._forms):
            if not any(core in form for core in cores):
                cores.append(form)
        self._cores = tuple(cores)
        self.short = frozenset(secret for secret in secrets if len(secret) < 6)
        self.shortest = min(map(len, (*self._forms, *self.short)), default=1 << 62)
        self.longest = max([256, *map(len, self._forms)])
        self.numbers = any(map(str.isdecimal, secrets))

    def hide(self, text: str) -> str:
        """Mask every known value in a text."""
        if text in self.short:
            return HIDDEN
        return self._replaced(text) if self.within(text) else text

    def within(self, text: str) -> bool:
        """Say whether a text holds a known value of 6 characters and more."""
        for core in self._cores:  # noqa: SIM110  # any() costs more than the search of a short text
            if core in text:
                return True
        return False

    def _replaced(self, text: str) -> str:
        for form in self._forms:
            if len(form) <= _LONG:
                break
            text = text.replace(form, self._masks[form])
        if self._pattern is None:
            self._pattern = _pattern([form for form in self._forms if len(form) <= _LONG])
        return self._pattern.sub(lambda found: self._masks[found[0]], text)


def _pattern(forms: list[str]) -> re.Pattern[str]:
    by_letter: dict[str, list[str]] = {}
    for form in forms:
        by_letter.setdefault(form[0], []).append(re.escape(form[1:]))
    branches = [f"{re.escape(letter)}(?:{'|'.join(rest)})" for letter, rest in by_letter.items()]
    return re.compile("|".join(branches) or "(?!)")


# Every call derives a redactor from the same few credentials, and compiling them costs more than a whole call.
exact_values = lru_cache(maxsize=256)(Exact)
