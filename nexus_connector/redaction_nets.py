"""Nets: what one redactor finds in a single text or key, by exact values, by shapes and by names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeVar

from .redaction_text import HIDDEN, ODD, Names, hide_pairs, hide_shapes, is_suspect
from .redaction_values import Exact

K = TypeVar("K")
V = TypeVar("V")

MAX_KEYS: Final = 4096
_MAX_KEY: Final = 64  # characters


def remember(memo: dict[K, V], key: K, value: V, limit: int) -> V:
    """Keep a result under what it was made of; when there are so many, all go: what repeats is soon back."""
    if len(memo) >= limit:
        memo.clear()
    memo[key] = value
    return value


class Nets:
    """The three nets of one redactor.

    Args:
        names: What keys mean.
        exact: Known values.
        personal: Whether e-mail addresses and phone numbers are caught.
        max_text: Characters of one text inside a tree.
    """

    def __init__(self, names: Names, exact: Exact, *, personal: bool, max_text: int) -> None:
        self._names = names
        self._exact = exact
        self._personal = personal
        self._max_text = max_text
        self.keys: dict[str, tuple[str, int]] = {}
        """Answers of `key`."""

    def key(self, name: str) -> tuple[str, int]:
        """Return what a key is shown as, and what it means, worked out once: every record brings the same few."""
        known = self.keys.get(name)
        if known is not None:
            return known
        shown, meaning = name, self._names[name]
        if meaning == ODD or len(name) >= self._exact.shortest:
            shown = self.text(name, self._max_text)
            meaning = max(meaning, self._names[shown])
        return remember(self.keys, name, (shown, meaning), MAX_KEYS) if len(name) <= _MAX_KEY else (shown, meaning)

    def pass_all(self, texts: Collection[str]) -> bool:
        """Say whether texts of a tree need no closer look, by one look at all of them at once: it costs as much as one.

        Between two quotes each stands as it stood alone: what is suspect in one is suspect in all of them.
        """
        together = '"'.join(texts)
        return (
            len(together) <= self._max_text
            and self._exact.short.isdisjoint(texts)
            and not self._exact.within(together)
            and not is_suspect(together)
        )

    def text(self, text: str, limit: int, *, cut: bool = False) -> str:
        """Redact a text and cut it to so many characters.

        Args:
            text: The text.
            limit: Characters that it may have.
            cut: Whether it was cut already.
        """
        exact, longest = self._exact, self._exact.longest
        if len(text) <= limit and not (cut or text in exact.short or exact.within(text) or is_suspect(text)):
            return text  # as nearly all of them
        window = text[: limit + longest]
        done = self.part(window)
        if cut or len(window) < len(text):
            done = done[:-longest]  # where the text was cut there may stand one half of a secret, unrecognisable
        elif len(done) <= limit:
            return done
        return self.part(f"{done[: limit - 16]}…[cut]")

    def part(self, text: str, *, whole: bool = True) -> str:
        """Redact a piece of text, however long.

        Args:
            text: The piece.
            whole: Whether names and card numbers in it mean what they mean in a text of its own.
        """
        text = self._exact.hide(text)
        for _ in range(8):  # what a mask leaves over may look like a secret only now that it stands alone
            if not is_suspect(text):
                break
            before, text = text, hide_shapes(text, personal=self._personal, cards=whole)
            text = hide_pairs(text, self._names) if whole else text
            if text == before or HIDDEN not in text:
                break
        return text
