"""Spanish, French and German statements in rough English, word by word, so that an English encoder can read them.

In:  a statement. Out: the language it is in, and its gloss: known words and phrases in English, unknown words as they are.
A gloss is no translation: word order and inflection stay as they were. The glossaries (glosses.zip: one file for each language,
`form<TAB>english` in each line) were written for this project's statements.
"""

from __future__ import annotations

import re
import zipfile
from bisect import bisect_left
from collections.abc import Container, Iterator
from functools import cache, cached_property
from importlib import resources

from oneloop.diagnose.features import plain
from oneloop.diagnose.language import FUNCTION_WORDS

GLOSSED = ("de", "es", "fr")
TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:-[^\W\d_]+)*|_{2,}|[^\w\s]")
ELIDED = {
    "c": "it", "d": "of", "j": "i", "l": "the", "m": "me", "n": "not", "s": "itself", "t": "you", "qu": "that",
    "jusqu": "until", "lorsqu": "when", "puisqu": "since", "quoiqu": "although",
}  # fmt: skip
ELISION = re.compile(rf"\b({'|'.join(ELIDED)})'(?=\w)")  # French: l'article is two words
BARE = str.maketrans(
    {letter: plain(letter) for letter in "àáâãäåçèéêëìíîïñòóôõöùúûüýÿß"} | {"œ": "oe", "æ": "ae"}
)  # what `plain` does to a letter
LONGEST = 5  # words of a phrase
STEM, ENDING = 4, 4  # letters two forms of one word share at least; letters in which they may differ at the end
SURE = 0.62  # share of a word that two forms share at least
PART = 3  # letters of a part of a compound at least
LINKS = ("", "s", "es", "n", "en", "e", "er")  # what German puts between the parts
PLAIN = 2  # English function words beyond twice those of another language that settle it without the glossaries
MARGIN = 0.5  # by how much another language must lead English
OWN, COMMON = 1.0, 0.35  # what a word says for a language: known to one alone, known to several


class Glossary:
    """Forms of one language and their English: as written, and (made when first needed) without accents, and in order."""

    def __init__(self, text: str) -> None:
        cells = text.replace("\n", "\t").split("\t")
        self.exact = dict(zip(cells[::2], cells[1::2]))

    @cached_property
    def folded(self) -> dict[str, str]:
        """The forms without accents."""
        return {form if form.isascii() else form.translate(BARE): english for form, english in reversed(self.exact.items())}

    @cached_property
    def order(self) -> list[str]:
        """The single words without accents, sorted."""
        return sorted(form for form in self.folded if " " not in form and len(form) >= STEM)


@cache
def _text(name: str) -> str:
    """A file of glosses.zip."""
    with resources.files(__package__).joinpath("glosses.zip").open("rb") as file, zipfile.ZipFile(file) as stored:
        return stored.read(name).decode("utf-8")


@cache
def glossary(language: str) -> Glossary:
    """The glossary of "de", "es" or "fr"."""
    return Glossary(_text(f"{language}.tsv"))


@cache
def english() -> frozenset[str]:
    """The English words the glossaries use."""
    return frozenset(_text("en.txt").split())


def split(text: str) -> list[str]:
    """Lower-case words, numbers and marks; an elided French word stands apart with its apostrophe."""
    found: list[str] = []
    for token in re.split(r"\s+", ELISION.sub(r"\1' ", text.lower().replace("’", "'"))):
        found += [token] if token.endswith("'") and token[:-1] in ELIDED else TOKEN.findall(token)
    return found


def gloss(text: str, language: str) -> str:
    """The statement in rough English."""
    return " ".join(english for english, _ in aligned(text, language))


def aligned(text: str, language: str) -> list[tuple[str, str]]:
    """The gloss piece by piece: (English, the words of the statement it stands for)."""
    words, found, at = _parted(split(text), language), [], 0
    for english, length in _read(words, language):
        if english:
            found.append((english, " ".join(words[at : at + length])))
        at += length
    return found


def _parted(words: list[str], language: str) -> list[str]:
    """The words, those with a hyphen taken apart unless they are listed."""
    known = glossary(language)
    return [part for word in words for part in ([word] if word in known.exact or len(word) == 1 else word.split("-"))]


def _read(words: list[str], language: str) -> Iterator[tuple[str, int]]:
    """(English, words of the statement it stands for), the longest known phrase first; an unknown word stands for itself."""
    known = glossary(language)
    at = 0
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            found = _listed(known, words[at : at + length])
            if found is not None:
                break
        else:
            length, found = 1, _formed(words[at], language)
        yield (words[at] if found is None else found), length
        at += length


def _listed(known: Glossary, words: list[str]) -> str | None:
    if len(words) == 1 and words[0].endswith("'") and words[0][:-1] in ELIDED:
        return ELIDED[words[0][:-1]]
    form = " ".join(words)
    return known.exact.get(form, known.folded.get(plain(form)))


@cache
def _formed(word: str, language: str) -> str | None:
    """The English of a form that is not listed: another form of a listed word, or (in German) several words in one."""
    form = plain(word)
    if not form.isalpha() or len(form) < STEM:
        return None
    known = glossary(language)
    near = _near(known, form)
    if near is not None or language != "de":
        return near
    for plainer in _participles(form):
        found = known.folded.get(plainer) or _near(known, plainer)
        if found is not None:
            return found
    parts = _parts(known, form)
    return " ".join(parts) if parts else None


def _near(known: Glossary, form: str) -> str | None:
    """The English of the listed form that begins like `form` and differs in its ending alone."""
    place = bisect_left(known.order, form)
    best: tuple[int, int, str] | None = None
    for other in known.order[max(0, place - 3) : place + 3]:
        same = next((i for i, (a, b) in enumerate(zip(form, other)) if a != b), min(len(form), len(other)))
        rest = max(len(form), len(other)) - same
        if same >= max(STEM, SURE * len(form)) and rest <= ENDING and (best is None or (same, -rest) > best[:2]):
            best = same, -rest, other
    return known.folded[best[2]] if best else None


def _participles(form: str) -> Iterator[str]:
    """German: `form` without the ge- of a participle or the -zu- of an infinitive, wherever it stands."""
    for mark in ("ge", "zu"):
        for at in range(0, len(form) - 5):
            if form.startswith(mark, at) and (at == 0 or at >= 2):
                yield form[:at] + form[at + 2 :]


def _parts(known: Glossary, form: str) -> list[str]:
    """The English of the parts of a German compound, the longest first part first; [] where it does not fall apart."""
    for end in range(len(form) - PART, PART - 1, -1):
        for link in LINKS:
            head = form[: end - len(link)]
            if len(head) < PART or not form[:end].endswith(link):
                continue
            first = known.folded.get(head) or (known.folded.get(head + "e") if len(head) > STEM else None)
            if first is None:
                continue
            rest = form[end:]
            last = known.folded.get(rest) or (_near(known, rest) if len(rest) > STEM else None)
            if last is not None:
                return [first, last]
            more = _parts(known, rest) if len(rest) > 2 * PART else []
            if more:
                return [first, *more]
    return []


def spoken(text: str) -> str:
    """The language of a statement, "en", "de", "es" or "fr": the one whose words it uses, function words twice.

    A word that one language alone knows says more than one that several know. English unless another clearly says more."""
    words = [part.rstrip("'") for word in split(text) if word[0].isalpha() for part in word.split("-")]
    votes = {language: float(sum(word in _function_words(language) for word in words)) for language in ("en", *GLOSSED)}
    if votes["en"] >= PLAIN + 2 * max(votes[language] for language in GLOSSED):
        return "en"
    for word in words:
        knowing = [language for language in votes if word in _known(language)]
        for language in knowing:
            votes[language] += OWN if len(knowing) == 1 else COMMON / len(knowing)
    if not any(votes.values()):  # nothing is listed as it stands: other forms and compounds
        votes |= {language: float(sum(_formed(word, language) is not None for word in words)) for language in GLOSSED}
    best = max(votes, key=lambda language: votes[language])
    return best if votes[best] > votes["en"] + MARGIN else "en"


@cache
def _function_words(language: str) -> frozenset[str]:
    return frozenset(FUNCTION_WORDS[language].split())


def _known(language: str) -> Container[str]:
    """The words of a language: those listed, for English those the glossaries use."""
    return english() if language == "en" else glossary(language).exact
