"""Which language a column of text is in: Unicode scripts first, then function words.

In: a few hundred texts. Out: an ISO 639-1 code and how sure it is; or how alike the wording of two columns is.
A column gives many words, so the most frequent words of each language decide reliably without a trained model.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

# The most frequent function words of each language, chosen so that neighbours (es/pt/ca, sv/da/no, cs/sk/pl) differ;
# HINTS and IMPERATIVES stand in the same file.
WORDS: dict[str, Any] = json.loads(resources.files(__package__).joinpath("words.json").read_text("utf-8"))
FUNCTION_WORDS: dict[str, str] = WORDS["function_words"]
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in FUNCTION_WORDS.items():
    for _word in _words.split():
        _LANGUAGES_OF.setdefault(_word, []).append(_language)

SCRIPTS = {  # first word of the Unicode name of a letter: the language it most often writes
    "CYRILLIC": "ru", "GREEK": "el", "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te",
    "THAI": "th", "HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh", "GEORGIAN": "ka", "ARMENIAN": "hy", "ETHIOPIC": "am",
    "KHMER": "km", "LAO": "lo", "MYANMAR": "my", "GUJARATI": "gu", "KANNADA": "kn", "MALAYALAM": "ml", "GURMUKHI": "pa", "SINHALA": "si",
}  # fmt: skip
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
KINDS = 4  # different function words a column must show before its language is named
LATIN = re.compile("[A-Za-z]")
LETTERS = 4000  # letters looked at for the script of a column
CODES = (
    frozenset(FUNCTION_WORDS)
    | frozenset(SCRIPTS.values())
    | {"uk", "bg", "sr", "fa", "ur", "nb", "nn", "gl", "sl", "is", "ga", "cy", "mt", "af"}
)


@cache
def _script_of(char: str) -> str:
    """The first word of a letter's Unicode name, "" for what is no letter."""
    if not char.isalpha():
        return ""
    return "LATIN" if char.isascii() else unicodedata.name(char, "?").split()[0].split("-")[0]


def script(text: str) -> str:
    """The Unicode script most letters of `text` belong to (LATIN, CYRILLIC, CJK, …), "" without letters."""
    part = text[:LETTERS]
    if part.isascii():
        return "LATIN" if LATIN.search(part) else ""
    counts = Counter(filter(None, map(_script_of, part)))
    if counts["HIRAGANA"] + counts["KATAKANA"] > 0.1 * counts.total():
        return "HIRAGANA"
    return counts.most_common(1)[0][0] if counts else ""


def words(text: str) -> list[str]:
    """Lower-case words; scripts written without spaces give pairs of characters."""
    found = WORD.findall(text.lower())
    if script(text[:200]) in UNSPACED:
        return [word[i : i + 2] for word in found for i in range(max(1, len(word) - 1))]
    return found


def identify(texts: Iterable[str]) -> tuple[str, float]:
    """The language of a column as ISO 639-1 code and the share of its words that say so (1.0 where the script decides).

    ("", 0.0) when nothing is recognised. Among languages of one script the one with the most function words wins.
    """
    joined = " ".join(texts)[:40_000]
    found = script(joined)
    if found and found != "LATIN":
        return _cyrillic(joined) if found == "CYRILLIC" else SCRIPTS.get(found, found.lower()), 1.0
    votes: dict[str, float] = defaultdict(float)
    kinds: dict[str, set[str]] = defaultdict(set)
    total = 0
    for word in WORD.findall(joined.lower().replace("’", "'").replace("'", " ")):
        total += 1
        languages = _LANGUAGES_OF.get(word, ())
        for language in languages:
            votes[language] += 1 / len(languages) ** 0.5
            kinds[language].add(word)
    if not total or not votes:
        return "", 0.0
    language, best = min(votes.items(), key=lambda item: (-item[1], item[0]))
    return (language, best / total) if best / total > 0.04 and len(kinds[language]) >= KINDS else ("", best / total)


def _cyrillic(text: str) -> str:
    lower = text.lower()
    if any(letter in lower for letter in "їєґ") or lower.count("і") > lower.count("ы"):
        return "uk"
    return "bg" if "ъ" in lower and "ы" not in lower else "ru"


def likeness(left: Iterable[Iterable[str]], right: Iterable[Iterable[str]]) -> float:
    """Cosine of the word counts of two columns (words of each row), 0-1: texts in one language share their function words
    (above 0.5), texts in two languages hardly any (below 0.3). Works for languages `identify` does not know."""
    a, b = (Counter(word for row in rows for word in row) for rows in (left, right))
    dot = sum(count * b[word] for word, count in a.items())
    norm = math.sqrt(sum(c * c for c in a.values()) * sum(c * c for c in b.values()))
    return dot / norm if norm else 0.0


def spelled_alike(left: Iterable[Iterable[str]], right: Iterable[Iterable[str]]) -> float:
    """Cosine of the three-letter counts of two columns, 0-1: above 0.5 in one language even where no word is shared."""

    def grams(rows: Iterable[Iterable[str]]) -> list[str]:
        return [f" {word} "[i : i + 3] for row in rows for word in row for i in range(len(word))]

    return likeness([grams(left)], [grams(right)])
