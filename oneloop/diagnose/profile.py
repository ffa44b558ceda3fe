"""What a column holds, told from its cells alone.

In:  the cells of one column in a sample of rows. Out: a Profile, the statistics by which roles are found: the kind of
value, lengths, how many distinct values, whether they look like ids, dates, labels, questions, code, lists of tags.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from oneloop.diagnose.language import UNSPACED, identify, script, words

SAMPLE = 600  # rows looked at; shares are then known to about 4 points (95 %)
COMPARED = 200  # rows whose words are compared between columns
READ = 3000  # characters of a text that are compared
NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d+)?\s*%?")
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: \d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2})?"
)
IDENTIFIER = re.compile(r"(?=\S*[\d])[A-Za-z0-9]*[-_:/#.A-Za-z0-9]*\d[-_:/#.A-Za-z0-9]*|[0-9a-f]{8,}")
LINK = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+\.[\w.]+", re.IGNORECASE)
MEDIA = re.compile(
    r"\S*\.(?:(?P<images>jpe?g|png|gif|bmp|webp|tiff?|dcm|heic|svg)|(?P<audio>wav|mp3|flac|ogg|m4a|opus|aac)|(?P<video>mp4|avi|mov|mkv|webm))",
    re.IGNORECASE,
)
BIO = re.compile(r"O|[BIESLU][-_]\S+|\S+[-_][BIESLU]")
CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*(?:def |class |import |from \w[\w.]* import|return\b|#include|public |private |function |var |let |const )"
    r"|^\s*(?:SELECT\b|<\?php|package |use )|[=!<>]=|=>|->|\w\(.*\)\s*[:;{]?\s*$"
    r"|^\s*(?:for|while|if)\b.*[:({]\s*$|^\s*\w[\w.\[\]]*\s*=\s*\S",
    re.MULTILINE,
)
QUESTION_WORDS = (
    "what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|should|would|will|has|have|"
    "qué|que|cuál|cuáles|quién|quiénes|cuándo|dónde|cómo|cuánto|cuántos|cuántas|por qué|"
    "quel|quelle|quels|quelles|qui|quoi|quand|où|comment|pourquoi|combien|est-ce|"
    "was|wer|wem|wen|wessen|wann|wo|woher|wohin|warum|wieso|wie|welche|welcher|welches|welchem|welchen|wieviel"
)
ASKS = re.compile(r"[?？؟]\W*$")
OPENS = re.compile(rf"^\W*(?:{QUESTION_WORDS})\b(?:\W+\w+){{1,14}}$", re.IGNORECASE)  # begins like a question, but has no mark
EMPTY = frozenset({"", "nan", "null", "none", "n/a", "<na>"})


def decode(cell: Any) -> Any:
    """A cell with lists and objects written as text turned into lists and objects; None for an empty one."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if text.lower() in EMPTY:
        return None
    if text[0] in "[{(" and text[-1] in "]})" and len(text) < 200_000:
        return _literal(text, cell)
    return cell


def _literal(text: str, cell: str) -> Any:
    """JSON, a Python literal, or the way numpy prints an array of strings (`['a' 'b']`); the cell itself otherwise."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, tuple | set):
            value = list(value)
        return value if isinstance(value, list | dict) else cell
    quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", text) if re.fullmatch(r"\[(?:\s*(?:'[^']*'|\"[^\"]*\"))+\s*\]", text) else []
    return [single or double for single, double in quoted] or cell


def kind_of(value: Any) -> str:
    """number, text, strings, numbers, objects (a list of dicts), triples (lists of lists), object, nothing, other."""
    if isinstance(value, bool | int | float):
        return "number"
    if isinstance(value, str):
        return "number" if NUMBER.fullmatch(value.strip()) else "text"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list | tuple):
        if not value:
            return "nothing"
        for name, types in (("strings", str), ("numbers", (int, float)), ("objects", dict), ("triples", (list, tuple))):
            if all(isinstance(item, types) for item in value):
                return name
    return "other"


def number(value: Any) -> float:
    """The number a cell of kind `number` holds; a comma may be its decimal point."""
    if isinstance(value, str):
        return float(value.strip().rstrip("%").strip().replace(",", "."))
    return float(value)


@dataclass(eq=False)
class Profile:
    """The cells of column `name` in the sampled rows (`None` where empty), and what they have in common."""

    name: str
    cells: list[Any]

    @cached_property
    def values(self) -> list[Any]:
        """The cells that are not empty."""
        return [value for value in self.cells if value is not None]

    @cached_property
    def kind(self) -> str:
        """The kind at least 80 % of the cells have; text where numbers and text are mixed; "" for an empty column."""
        counts = Counter(kind_of(value) for value in self.values)
        empty_lists = counts.pop("nothing", 0)
        total = counts.total()
        if not total:
            return "strings" if empty_lists else ""
        name, count = counts.most_common(1)[0]
        if count >= 0.8 * total:
            return name
        return "text" if counts["number"] + counts["text"] == total else "other"

    @cached_property
    def filled(self) -> float:
        """The share of rows with a value."""
        return len(self.values) / len(self.cells) if self.cells else 0.0

    @cached_property
    def texts(self) -> list[str]:
        """The cells as text, for columns of text and numbers."""
        return [value if isinstance(value, str) else str(value) for value in self.values]

    @cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len({repr(value) for value in self.values})

    @cached_property
    def variety(self) -> float:
        """Different values as a share of the filled cells, 0-1."""
        return self.distinct / len(self.values) if self.values else 0.0

    @cached_property
    def word_counts(self) -> list[float]:
        """Words of each text; two characters count as a word in scripts without spaces."""
        unspaced = script(" ".join(self.texts[:50])) in UNSPACED
        return [len(text) / 2 if unspaced else float(len(text.split())) for text in self.texts]

    @cached_property
    def words(self) -> float:
        """Mean words a text."""
        return statistics.fmean(self.word_counts) if self.word_counts else 0.0

    @cached_property
    def median_words(self) -> float:
        """Median words a text."""
        return statistics.median(self.word_counts) if self.word_counts else 0.0

    @cached_property
    def word_sets(self) -> list[frozenset[str]]:
        """The words of each of the first rows' texts, () where the cell is no text; long texts are read in part."""
        return [
            frozenset(words(str(cell)[:READ])) if isinstance(cell, str | int | float) else frozenset() for cell in self.cells[:COMPARED]
        ]

    @cached_property
    def language(self) -> tuple[str, float]:
        """Language code and share of words that say so."""
        return identify(text[:400] for text in self.texts[:200])

    def share(self, test: Callable[[str], Any]) -> float:
        """The share of texts for which `test` holds."""
        return sum(1 for text in self.texts if test(text)) / len(self.texts) if self.texts else 0.0

    @cached_property
    def numbers(self) -> list[float]:
        """The values of a number column."""
        return [number(value) for value in self.values if kind_of(value) == "number"]

    @cached_property
    def whole(self) -> bool:
        """Whether all numbers are whole and written without a decimal point."""
        written = (text.strip() for text in self.texts)
        return self.kind == "number" and all(re.fullmatch(r"[-+]?\d+(?:\.0)?|True|False", text) for text in written)

    @cached_property
    def identifies(self) -> bool:
        """Whether the column only names rows: codes without spaces or running numbers, (nearly) all different."""
        if self.kind == "number":
            return self.whole and self.variety > 0.95 and len(self.values) > 5 and _running(self.numbers)
        return self.kind == "text" and self.variety > 0.9 and self.share(lambda text: IDENTIFIER.fullmatch(text.strip())) > 0.9

    @cached_property
    def codes(self) -> bool:
        """Whether the column holds ids that may repeat: codes with digits, or whole numbers of many different values."""
        if self.kind == "number":
            return self.whole and self.distinct > 30
        return self.kind == "text" and self.distinct > 10 and self.share(lambda text: IDENTIFIER.fullmatch(text.strip())) > 0.9

    @cached_property
    def dates(self) -> bool:
        """Whether the column holds dates or times."""
        return self.kind == "text" and self.share(lambda text: DATE.fullmatch(text.strip())) > 0.8

    @cached_property
    def links(self) -> bool:
        """Whether the column holds web or mail addresses."""
        return self.kind == "text" and self.share(lambda text: LINK.fullmatch(text.strip())) > 0.8

    @cached_property
    def media(self) -> str:
        """images, audio or video where the cells are names of such files, else ""."""
        found = [match.lastgroup for text in self.texts[:200] if (match := MEDIA.fullmatch(text.strip()))]
        return str(Counter(found).most_common(1)[0][0]) if self.kind == "text" and len(found) > 0.8 * len(self.texts[:200]) else ""

    @cached_property
    def prose(self) -> bool:
        """Whether the cells are texts a person wrote: words, mostly different, not codes, dates or addresses."""
        if self.kind != "text" or self.dates or self.links or self.media or self.identifies:
            return False
        varied = self.variety > 0.3 or (self.words >= 6 and self.distinct >= 8)
        return self.words >= 1.8 and varied and self.filled > 0.03 and self.distinct > 2

    @cached_property
    def few(self) -> bool:
        """Whether the values are few and short and repeat, as labels do."""
        if self.kind not in ("text", "number") or self.distinct < 2 or self.dates or self.links:
            return False
        if self.kind == "number" and not self.whole:
            return False
        longest = sorted(len(text) for text in self.texts)[int(0.95 * (len(self.texts) - 1))]
        repeated = self.variety <= 0.5 or (len(self.values) <= 12 and self.variety < 0.75)
        return repeated and longest <= 80 and self.words <= 6

    @cached_property
    def asks(self) -> float:
        """The share of texts that are questions; where hardly any has a question mark, beginning like one counts little
        (headlines do: How a town …)."""
        marked = self.share(ASKS.search)
        return marked if marked > 0.1 else max(marked, 0.4 * self.share(OPENS.search))

    @cached_property
    def code(self) -> float:
        """The share of texts that are programs: at least a third of their lines look like code."""
        return self.share(looks_like_code)

    @cached_property
    def items(self) -> Counter[Any]:
        """The items of list cells, counted."""
        return Counter(item for value in self.values if isinstance(value, list) for item in value if isinstance(item, str | int | float))

    @cached_property
    def tagged(self) -> float:
        """The share of list items (or of cells) that are written as BIO, BIOES or IOB tags, and not all `O`."""
        counts = self.items or Counter(self.texts)
        total, outside = counts.total(), counts.get("O", 0)
        if not total or total == outside:
            return 0.0
        return sum(count for item, count in counts.items() if isinstance(item, str) and BIO.fullmatch(item)) / total


def looks_like_code(text: str) -> bool:
    """Whether a third of the lines of `text` look like a program."""
    lines = [line for line in text.splitlines() if line.strip()][:60]
    return bool(lines) and sum(1 for line in lines if CODE_LINE.search(line)) >= max(1, len(lines) / 3) and _symbols(text) > 0.03


def _symbols(text: str) -> float:
    return sum(text.count(symbol) for symbol in "(){}[];=<>_") / max(1, len(text))


def _running(numbers: Sequence[float]) -> bool:
    """Whether numbers go up, or lie so close together that they count rows."""
    rising = sum(1 for a, b in pairwise(numbers) if b > a)
    return rising > 0.95 * (len(numbers) - 1) or (max(numbers) - min(numbers)) > 20 * len(numbers) or len(numbers) > 30


def profiles(table: Sequence[dict[str, Any]], columns: Sequence[str], rows: int = SAMPLE) -> list[Profile]:
    """One Profile for each column, from at most `rows` rows taken evenly over the whole table."""
    step = max(1, -(-len(table) // rows))
    sampled = [table[position] for position in range(0, len(table), step)]
    return [Profile(name, sentences_joined([decode(row.get(name)) for row in sampled])) for name in columns]


def sentences_joined(cells: list[Any]) -> list[Any]:
    """Lists of sentences as one text each; lists of words, tags or labels stay lists."""
    items = [item for cell in cells if isinstance(cell, list) for item in cell]
    if not items or not all(isinstance(item, str) for item in items) or sum(len(item.split()) for item in items) < 4 * len(items):
        return cells
    return [" ".join(cell) if isinstance(cell, list) else cell for cell in cells]
