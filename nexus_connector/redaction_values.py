"""Exact secret values, found in every encoding in which they could turn up."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from urllib.parse import quote, quote_plus

from .redaction_text import HIDDEN, mask


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
            return HIDDEN
        for form in self._long:
            text = text.replace(form, self._masks[form])
        return self._pattern.sub(lambda found: self._masks[found[0]], text)


# Every call derives a redactor from the same few credentials, and compiling them costs more than a whole call.
exact_values = lru_cache(maxsize=256)(Exact)
