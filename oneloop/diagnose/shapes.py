"""Which roles the columns of a table fill, told from their cells: nested cells and the columns beside them.

In: the Profiles of a table. Out: Candidates, each a set of roles with the columns that fill them, how sure it is and why.
Which task a set of roles belongs to stands in the task's own clues.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneloop.diagnose.language import CODES
from oneloop.diagnose.names import sounds_like
from oneloop.diagnose.profile import BIO, Profile
from oneloop.diagnose.relations import Relation

NAMED = 0.05  # what a fitting column name adds: a tie-breaker
EQUAL = 0.9  # share of rows in which words and tags must be equally many, where nothing else says that they are words and tags
APART = 0.5  # … and where something does, by how much their numbers may differ
WORD_ROWS = (
    "each row holds one word: a model would see every word without its sentence; write one row for each sentence, a list of words and "
    "a list of tags, or word and tag a line with a blank line after each sentence (CoNLL)"
)
BESIDE = 2  # characters by which a start may miss its answer and still be meant as a start
SHOWN = 4  # labels and tags that a reason names


@dataclass
class Candidate:
    """`key` is the set of roles ("text label"), `columns` who fills them; `score` 0-1; `why` the columns that decided."""

    key: str
    columns: dict[str, Any]
    score: float
    why: list[str]
    notes: list[str] = field(default_factory=list)

    def named(self) -> Candidate:
        """The candidate with the tie-breaker added for each column whose name sounds like its role."""
        single = [sounds_like(str(column), role) for role, column in self.columns.items() if isinstance(column, str)]
        self.score += NAMED * (sum(single) / len(single) if single else 0.0)
        return self


def nested(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Candidates decided by cells that hold lists or objects."""
    for finder in (messages, translations, spans, tags, answers, unanswered, word_rows):
        yield from (candidate.named() for candidate in finder(profiles))


def _objects(profile: Profile) -> Iterable[dict[str, Any]]:
    for value in profile.values[:200]:
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))


def _keys(profile: Profile) -> Counter[str]:
    return Counter(key for item in _objects(profile) for key in item)


def messages(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Chats: lists of {role, content} or {from, value}; `chosen` and `rejected` chats are preferences."""
    chats = [p for p in profiles if p.kind == "objects" and _speaks(p)]
    preferred = [p for p in chats if sounds_like(p.name, "chosen")], [p for p in chats if sounds_like(p.name, "rejected")]
    if all(preferred):
        columns = {"chosen": preferred[0][0].name, "rejected": preferred[1][0].name}
        yield Candidate(
            "chosen rejected", columns, 1.0, [f"columns {columns['chosen']} and {columns['rejected']} hold a preferred and a refused chat"]
        )
    for chat in chats:
        yield Candidate(
            "messages", {"messages": chat.name}, 0.99, [f"column {chat.name} holds chats: lists of turns with a speaker and a text"]
        )


def _speaks(profile: Profile) -> bool:
    speakers = Counter(
        str(value)
        for item in _objects(profile)
        for value in item.values()
        if isinstance(value, str) and len(value) < 12 and " " not in value
    )
    known = sum(speakers[name] for name in ("user", "assistant", "system", "human", "gpt", "bot", "tool", "model", "Human", "Assistant"))
    return known >= 0.8 * sum(1 for _ in _objects(profile)) > 0


def translations(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """One object with a text for each language: {"translation": {"en": …, "de": …}}."""
    for profile in profiles:
        if profile.kind != "object":
            continue
        languages = [
            key
            for key, count in _keys(profile).items()
            if key.split("-")[0].split("_")[0].lower() in CODES and count >= 0.8 * len(profile.values)
        ]
        if len(languages) >= 2:
            columns = {"source": f"{profile.name}.{languages[0]}", "target": f"{profile.name}.{languages[1]}"}
            yield Candidate("source target", columns, 1.0, [f"column {profile.name} holds each row in {' and '.join(languages[:2])}"])


def spans(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """A text, and beside it lists of {start, end, label} (or [start, end, label]) whose offsets lie inside that text."""
    for marks in profiles:
        found = [
            mark for value in marks.values for mark in (read_span(item) for item in (value if isinstance(value, list) else [])) if mark
        ]
        total = sum(len(value) for value in marks.values if isinstance(value, list))
        if marks.kind not in ("objects", "triples") or not found or len(found) < 0.9 * total:
            continue
        for text in profiles:
            if text.kind == "text" and _fits(text, marks):
                labels = sorted({label for _, _, label in found})
                why = f"column {marks.name} marks stretches of column {text.name} with {len(labels)} labels ({few_of(labels)})"
                yield Candidate("text spans", {"text": text.name, "spans": marks.name}, 0.97 + 0.01 * min(1, text.words / 100), [why])


def read_span(item: Any) -> tuple[int, int, str] | None:
    """(start, end, label) of one mark in any of the usual spellings; None if it is no mark."""
    if isinstance(item, dict):
        numbers = [
            value
            for key, value in item.items()
            if isinstance(value, int) and not isinstance(value, bool) and "token" not in key and key != "id"
        ]
        names = [key for key in item if isinstance(item[key], str | list)]
        label = next(
            (
                item[key]
                for key in names
                if key.lower() in ("label", "labels", "tag", "type", "entity", "entity_group", "entity_type", "class")
            ),
            None,
        )
        if label is None:
            label = next(
                (item[key] for key in names if key.lower() not in ("text", "word", "id", "value") and isinstance(item[key], str)), None
            )
        starts = [
            item[key]
            for key in item
            if key.lower() in ("start", "begin", "start_offset", "start_char", "from", "offset", "inicio", "début")
        ]
        start, end = (
            (starts[0], max(numbers, default=-1))
            if starts and isinstance(starts[0], int)
            else (min(numbers, default=-1), max(numbers, default=-1))
        )
        if len(numbers) >= 2 and 0 <= start < end and label is not None:
            return start, end, str(label[0] if isinstance(label, list) and label else label)
    elif isinstance(item, list | tuple) and len(item) >= 3:
        numbers = [value for value in item if isinstance(value, int) and not isinstance(value, bool)]
        labels = [value for value in item if isinstance(value, str)]
        if len(numbers) == 2 and labels and 0 <= numbers[0] < numbers[1]:
            return numbers[0], numbers[1], labels[-1]
    return None


def _fits(text: Profile, marks: Profile) -> bool:
    checked = inside = 0
    for cell, value in zip(text.cells, marks.cells):
        for mark in (read_span(item) for item in (value if isinstance(value, list) else [])):
            if mark and isinstance(cell, str):
                checked += 1
                inside += mark[1] <= len(cell)
    return checked > 0 and inside >= 0.9 * checked


def as_words(value: Any) -> list[Any] | None:
    """The items of a list cell, or the words of a cell that writes its list with spaces."""
    if isinstance(value, list):
        return value
    return value.split() if isinstance(value, str) else None


def tags(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """Two columns of lists of equal length, one of many different words, the other of few tags; or of unequal length in too many
    rows, where the cells are written as tags or the columns called so: an error that the task itself names."""
    lists = [p for p in profiles if p.kind in ("strings", "numbers")]
    spaced = [p for p in profiles if p.kind == "text" and p not in lists]
    for words in [p for p in lists if p.kind == "strings"] + spaced:
        for marks in lists + [p for p in spaced if _spaced_tags(p)]:
            if words is marks or (words in spaced) != (marks in spaced):
                continue
            lengths = _lengths(words, marks)
            equal = sum(x == y for x, y in lengths) / len(lengths) if lengths else 0.0
            if equal < EQUAL and not _tagged_all_the_same(words, marks, lengths):
                continue
            own, few = _items(words), _items(marks)
            if len(few) < 2 or len(few) > max(40, 0.5 * len(own)) or (marks.tagged < 0.5 and words.tagged > 0.9):
                continue
            score = (
                (0.96 if equal >= EQUAL else 0.93)
                + (0.02 if marks.tagged > 0.9 or _spaced_tags(marks) else 0.0)
                - 0.02 * len(few) / max(1, len(own))
                + 0.005 * _ner_like(marks)
            )
            common = few_of([str(tag) for tag, _ in few.most_common(SHOWN + 1)])
            how = "equally long lists" if equal >= EQUAL else f"lists, of unequal length in {1 - equal:.0%} of the rows"
            why = f"columns {words.name} and {marks.name} hold {how}: words and {len(few)} tags ({common})"
            yield Candidate("tokens tags", {"tokens": words.name, "tags": marks.name}, score, [why])


def few_of(names: Sequence[str]) -> str:
    """The first names of a list, and a sign that there are more."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _items(profile: Profile) -> Counter[Any]:
    return profile.items or Counter(word for text in profile.texts for word in text.split())


def _spaced_tags(profile: Profile) -> bool:
    """Whether the texts are rows of tags with spaces between them."""
    words = Counter(word for text in profile.texts for word in text.split())
    tagged = sum(count for word, count in words.items() if BIO.fullmatch(word))
    return len(words) > 1 and words.get("O", 0) < words.total() and tagged > 0.95 * words.total()


def _lengths(a: Profile, b: Profile) -> list[tuple[int, int]]:
    """How many items two columns hold in each row that has both; [] where no row holds more than one."""
    found = [(len(x), len(y)) for x, y in ((as_words(x), as_words(y)) for x, y in zip(a.cells, b.cells)) if x is not None and y is not None]
    return found if sum(x for x, _ in found) > len(found) else []


def _tagged_all_the_same(words: Profile, marks: Profile, lengths: Sequence[tuple[int, int]]) -> bool:
    """Whether tags are meant although their number is not that of the words: lists of about the same length, one of them of
    cells written as tags, or both called what they are."""
    apart, total = sum(abs(x - y) for x, y in lengths), sum(x for x, _ in lengths)
    called = sounds_like(words.name, "tokens") and sounds_like(marks.name, "tags") and marks.kind in ("strings", "numbers")
    written = (marks.tagged > 0.9 or (marks.kind == "text" and _spaced_tags(marks))) and words.tagged < 0.5 and _ner_like(marks) > 0
    lists = any(tags > 1 for _, tags in lengths)  # `Sentence: 7` beside the tag of one word is no pair of lists
    return lists and apart <= APART * total and bool(called or written)


def _ner_like(profile: Profile) -> float:
    return _items(profile).get("O", 0) / max(1, _items(profile).total())


def word_rows(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """A word and its tag in each row (a sentence number beside them)."""
    for marks in profiles:
        if marks.kind == "text" and marks.tagged > 0.95 and "O" in marks.texts:
            words = [
                p
                for p in profiles
                if p is not marks and p.kind == "text" and p.words < 1.5 and p.distinct > 2 * marks.distinct and not p.identifies
            ]
            for word in words:
                columns = {"tokens": word.name, "tags": marks.name}
                why = f"each row is one word ({word.name}) with its tag ({marks.name})"
                yield Candidate("tokens tags", columns, 0.93, [why], [WORD_ROWS])


def answers(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """A question, a passage, and an answer that stands in the passage."""
    prose = [p for p in profiles if p.kind == "text" and p.words >= 1.8]
    for answer in profiles:
        for context in prose:
            inside = _answers_inside(answer, context) if context is not answer and context.words >= 6 else 0.0
            if inside < 0.7:
                continue
            asking = [p for p in prose if p is not context and p is not answer and p.asks > 0.3 and Relation(context, p).inside < 0.5]
            for question in asking:
                role = "answer" if answer.kind in ("text", "number") else "answers"
                columns = {"question": question.name, "context": context.name, role: answer.name}
                start = next((p.name for p in profiles if _starts(p, answer, context)), None) if role == "answer" else None
                if start is not None:
                    columns["answer_start"] = start
                why = f"column {answer.name} stands in column {context.name} in {inside:.0%} of the rows, and column {question.name} asks"
                yield Candidate(
                    f"question context {role}",
                    columns,
                    0.93 + 0.04 * question.asks + 0.02 * inside + (0.02 if role == "answers" else 0.0),
                    [why],
                )


def unanswered(profiles: Sequence[Profile]) -> Iterator[Candidate]:
    """A question, a passage, and a column called for answers that holds none in any row: an error that the task itself names."""
    empty = [p for p in profiles if not any(answer_texts(value) for value in p.values) and sounds_like(p.name, "answer")]
    prose = [p for p in profiles if p.kind == "text" and p.words >= 1.8]
    for answer in empty[:1]:
        for question in [p for p in prose if p.asks > 0.3]:
            longer = [p for p in prose if p is not question and p.asks < 0.3 and p.median_words > question.median_words]
            for context in sorted(longer, key=lambda p: -p.median_words)[:1]:
                columns = {"question": question.name, "context": context.name, "answers": answer.name}
                why = f"column {question.name} asks about column {context.name}, and column {answer.name} has no answer in any row"
                yield Candidate("question context answers", columns, 0.93, [why])


def answer_texts(value: Any) -> list[str] | None:
    """The answers of a cell in any usual spelling; [] for none; None if it holds no answers."""
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, dict):
        texts = value.get("text", value.get("texts", value.get("answer", next(iter(value.values()), None))))
        return [texts] if isinstance(texts, str) else [str(text) for text in texts] if isinstance(texts, list) else None
    if isinstance(value, list):
        found = [answer_texts(item) for item in value if isinstance(item, str | dict)]
        return [text for texts in found if texts for text in texts]
    return None


def _answers_inside(answer: Profile, context: Profile) -> float:
    """The share of rows with an answer in which all of it stands in the passage and is a small part of it."""
    if answer.kind not in ("text", "number", "object", "objects", "strings") or (
        answer.kind in ("text", "number") and answer.variety < 0.15
    ):
        return 0.0
    checked = inside = 0
    for found, passage in zip(map(answer_texts, answer.cells), context.cells):
        if found and isinstance(passage, str):
            checked += 1
            inside += all(text.strip() in passage and len(text) < 0.7 * len(passage) for text in found if text)
    enough = 1 if answer.kind in ("object", "objects") and _placed(answer) else 3
    return inside / checked if checked >= min(enough, len(context.cells)) else 0.0


def _placed(answer: Profile) -> bool:
    """Whether the cells hold a text and where it starts, by their keys."""
    keys = set(_keys(answer))
    return "text" in keys and any("start" in key for key in keys)


def _starts(numbers: Profile, answer: Profile, context: Profile) -> bool:
    if numbers.kind != "number" or not numbers.whole:
        return False
    rows = [
        (int(float(n)), str(a), str(c))
        for n, a, c in zip(numbers.cells, answer.cells, context.cells)
        if n is not None and a is not None and c is not None
    ]
    near = [n >= 0 and a in c[max(0, n - BESIDE) : n + BESIDE + len(a)] for n, a, c in rows]  # off by one is still meant as a start
    return bool(rows) and sum(near) >= 0.8 * len(rows)
