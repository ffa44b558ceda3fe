"""Sentences and words of running text in any script, for lead-3, ROUGE and the answer baseline.

In:  text.
Out: its sentences in order; its words as ROUGE counts them.

Sentences are split by rule, without a model to download: after . ! ? and their kin where what follows can start a sentence, but not
after abbreviations and initials ("U.S. troops", "Mr. Lee", "e.g. this"). After an abbreviation that can also end a sentence
("in the U.S. The vote") a split needs a word that commonly starts one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

CLOSING = "\"'”’»)\\]"
ENDS = re.compile(
    rf"(?P<mark>[.!?…؟।۔]+)[{CLOSING}]*(?P<space>\s+)(?=[\"'“‘„«(\[¿¡]*(?P<next>\w+))"  # Western: needs white space
    r"|[。！？｡]+[」』”’）]*"  # Chinese and Japanese: needs none
)
PARAGRAPH = re.compile(r"\n\s*\n")
# Written as abbreviations are: "Fig." is one, "a ripe fig." is not.
NEVER = """Mr Mrs Ms Dr Prof Rev Hon Gen Col Lt Sgt Capt Gov Sen Rep St Mt Messrs Mme Mlle Hr Fr Sr Sra Srta Dipl Nr
    Fig Figs Eq Eqs Sec vs cf viz e.g i.e approx resp ca z.B d.h bzw p.ex"""  # something always follows
MAYBE = """etc Inc Ltd Co Corp Jr Bros al Ave Blvd Rd Dept Univ Est Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec
    Tue Tues Thu Thurs Fri a.m p.m Ph.D B.C A.D usw u.a"""  # may end a sentence; only a common first word after it says so
BEFORE_NUMBER = """No Nos no nos p pp Vol vol Ch ch chap"""  # abbreviations before a number, words otherwise
STARTERS = """the a an this that these those it its he she they we you i his her their our my there here in on at for from with by as
    but and or so if when while after before since although though because however moreover furthermore then thus therefore
    what who why how where which some many most all both each no not one two to under over during meanwhile later today yesterday
    now der die das ein eine er sie es wir ich aber und le la les un une il elle ils nous mais et el los las una pero y"""
NEVER_ENDS, MAY_END, COUNTED, STARTS = (frozenset(text.split()) for text in (NEVER, MAYBE, BEFORE_NUMBER, STARTERS))


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped, in order; a blank line always ends one, a single line break never does."""
    found: list[str] = []
    for paragraph in PARAGRAPH.split(text):
        start = 0
        for match in ENDS.finditer(paragraph):
            if match["mark"] is None or _ends_here(paragraph, start, match):
                found.append(paragraph[start : match.end()])
                start = match.end()
        found.append(paragraph[start:])
    return [" ".join(sentence.split()) for sentence in found if sentence.strip()]


def _ends_here(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the mark at `match` ends the sentence that began at `start`."""
    following = match["next"]
    if following[0].islower():
        return False
    if match["mark"] != ".":
        return True
    before = text[start : match.start()].split()
    word = before[-1].lstrip("\"'“‘„«([¿¡") if before else ""
    if word.isdigit() and len(before) == 1:
        return False  # "1. Introduction": the number of a list
    if word in NEVER_ENDS:
        return False
    if word in COUNTED:
        return not following[0].isdigit()
    initials = (len(word) == 1 and word.isupper()) or re.fullmatch(r"(?:\w\.)+\w", word)
    if word in MAY_END or initials:
        return following.lower() in STARTS
    return True


def lead(text: str, count: int = 3) -> str:
    """The first `count` sentences, one per line: the lead-3 baseline of summarization."""
    return "\n".join(sentences(text)[:count])


def as_lines(text: str) -> str:
    """One sentence per line, which ROUGE-Lsum needs: the text's own lines where it has several, else its sentences."""
    own = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(own if len(own) > 1 else sentences(text))


@cache
def _word_pattern() -> Any:
    import regex  # comes with sacrebleu and rouge-score; the standard re knows neither scripts nor combining marks

    unspaced = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    return regex.compile(rf"[[{unspaced}]&&[\p{{L}}\p{{N}}]]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{unspaced}]]+", regex.VERSION1)


def words(text: str) -> list[str]:
    """Lower-case runs of letters, marks and digits; in scripts written without spaces every character is a word.

    On ASCII text these are the words of rouge-score's own tokenizer, which drops everything else.
    """
    found: list[str] = _word_pattern().findall(unicodedata.normalize("NFC", text).lower())
    return found
