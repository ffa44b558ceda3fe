"""Where a model is wrong, from one pass over predictions.jsonl.

In:  its lines: {"id", "row", "file", "input", "prediction", "reference", "loss", "scores"}.
Out: a Breakdown: the worst rows, and tables whose kind follows from the shape of the predictions, never from a task's name:
     one label, several labels, a number, spans, or an answer.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from oneloop.ship import marks
from oneloop.ship.words import finite, metric

WORST = 50
KEPT_POINTS = 800  # dots of a scatter plot
LONG_ANSWER = 8  # words; longer answers count as sentences

Line = dict[str, Any]


@dataclass
class Counts:
    """Right, predicted and existing items of one label or type."""

    right: int = 0
    predicted: int = 0
    gold: int = 0

    @property
    def precision(self) -> float | None:
        """Of the predicted, the share that is right; None when nothing was predicted."""
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Of the existing, the share that was found; None when there is none."""
        return self.right / self.gold if self.gold else None

    @property
    def f1(self) -> float:
        """2 right / (predicted + existing), 0 when both are 0."""
        return 2 * self.right / (self.predicted + self.gold) if self.predicted + self.gold else 0.0


@dataclass
class Labels:
    """Counts per label, and how often one was taken for another (single labels only)."""

    kind: str = "label"
    per_label: dict[str, Counts] = field(default_factory=dict)
    confused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, name: str) -> Counts:
        """The Counts of a label, made at its first use."""
        return self.per_label.setdefault(name, Counts())

    def add(self, line: Line) -> None:
        """Count one line with a single label, or with a list of them."""
        reference, said = line.get("reference"), line["prediction"]
        if "labels" in said or isinstance(reference, list):
            self.kind = "labels"
            gold = {str(name) for name in _as_list(reference)}
            found = {str(name) for name in _as_list(said.get("labels"))}
            self._sets(gold, found)
            return
        right, label = str(_only(reference)), str(said.get("label"))
        self._sets({right}, {label})
        self.confused[right, label] += 1

    def _sets(self, gold: set[str], found: set[str]) -> None:
        for name in gold:
            self.of(name).gold += 1
        for name in found:
            self.of(name).predicted += 1
        for name in gold & found:
            self.of(name).right += 1

    def mistakes(self) -> list[tuple[str, str, int]]:
        """(right label, predicted label, rows), most frequent first."""
        return [(right, said, n) for (right, said), n in self.confused.most_common() if right != said]


@dataclass
class Values:
    """Right and predicted numbers: `points` holds every k-th pair, at most KEPT_POINTS of them."""

    kind: str = "value"
    points: list[tuple[float, float]] = field(default_factory=list)
    seen: int = 0
    every: int = 1
    error: float = 0.0

    def add(self, line: Line) -> None:
        """Count one line with a predicted `value` and a number as reference."""
        right, said = finite(_only(line.get("reference"))), finite(line["prediction"].get("value"))
        if right is None or said is None:
            return
        self.error += said - right
        if self.seen % self.every == 0:
            self.points.append((right, said))
            if len(self.points) > KEPT_POINTS:
                self.points, self.every = self.points[::2], self.every * 2
        self.seen += 1

    @property
    def lean(self) -> float:
        """Mean of predicted minus right: above 0 the model says too much."""
        return self.error / self.seen if self.seen else 0.0


@dataclass
class Spans:
    """Counts per span type (or per tag, where the tags mark no spans) and the kinds of mistakes."""

    kind: str = "spans"
    types: dict[str, Counts] = field(default_factory=dict)
    tags: dict[str, Counts] = field(default_factory=dict)
    confused: Counter[tuple[str, str]] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)
    marked: bool = False  # a tag with a prefix, an O, or spans were seen

    def add(self, line: Line) -> None:
        """Count one line with tags per word, or with character spans."""
        gold_tags, tags = tags_of(line)
        if gold_tags is not None and tags is not None:
            self.marked = self.marked or any(marks.split_tag(str(tag))[1] != tag for tag in gold_tags)
            for right, said in zip(gold_tags, tags):
                self.tags.setdefault(str(right), Counts()).gold += 1
                self.tags.setdefault(str(said), Counts()).predicted += 1
                self.tags[str(right)].right += right == said
                if right != said:
                    self.confused["tag:" + str(right), str(said)] += 1
            self._spans(marks.chunks(gold_tags), marks.chunks(tags))
        else:
            self.marked = True
            gold = marks.spans(gold_spans(line), 1 << 60)
            self._spans(gold, marks.spans(line["prediction"].get("spans"), 1 << 60))

    def _spans(self, gold: list[marks.Span], found: list[marks.Span]) -> None:
        right = set(gold) & set(found)
        for span in gold:
            self.types.setdefault(span.label, Counts()).gold += 1
        for span in found:
            self.types.setdefault(span.label, Counts()).predicted += 1
        for span in right:
            self.types[span.label].right += 1
        self._why([span for span in gold if span not in right], [span for span in found if span not in right])

    def _why(self, missed: list[marks.Span], extra: list[marks.Span]) -> None:
        """Sort the spans that do not agree: other type at the same place, other borders, missed, or invented."""
        used: set[int] = set()
        for span in missed:
            over = [i for i, other in enumerate(extra) if i not in used and other.start < span.end and span.start < other.end]
            if not over:
                self.mistakes["missed"] += 1
                continue
            other = extra[over[0]]
            used.add(over[0])
            same = (other.start, other.end) == (span.start, span.end)
            self.mistakes["type" if same else "borders" if other.label == span.label else "both"] += 1
            if other.label != span.label:
                self.confused[span.label, other.label] += 1
        self.mistakes["invented"] += len(extra) - len(used)

    def table(self) -> dict[str, Counts]:
        """Counts per span type, or per tag where the tags mark no spans."""
        return self.types if self.marked else self.tags

    def mixed_up(self) -> list[tuple[str, str, int]]:
        """(right type, predicted type, times), most frequent first."""
        chosen = [(key, n) for key, n in self.confused.most_common() if key[0].startswith("tag:") != self.marked]
        return [(right.removeprefix("tag:"), said, n) for (right, said), n in chosen]


@dataclass
class Answers:
    """Means of the row scores by kind of answer and by the question's first word."""

    kind: str = "answers"
    groups: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {"By kind of answer": {}, "By question word": {}})
    names: list[str] = field(default_factory=list)
    silent: int = 0  # an answer exists, the model gave none
    made_up: int = 0  # there is no answer, the model gave one

    def add(self, line: Line) -> None:
        """Count one line with an `answer` and answers as reference."""
        scores = {name: value for name, value in (line.get("scores") or {}).items() if finite(value) is not None}
        self.names = self.names or list(scores)
        gold = answer_texts(line.get("reference"))
        said = str(line["prediction"].get("answer") or "")
        self.silent += bool(gold) and not said
        self.made_up += not gold and bool(said)
        question = str((inputs(line)).get("question") or "")
        for group, name in zip(self.groups.values(), (answer_kind(gold), question_word(question))):
            sums = group.setdefault(name, [0.0] * (len(self.names) + 1))
            sums[0] += 1
            for i, score_name in enumerate(self.names, 1):
                sums[i] += float(scores.get(score_name, 0.0))

    def tables(self) -> dict[str, list[tuple[str, int, list[float]]]]:
        """Per grouping: (name, questions, mean of each row score), most questions first."""
        return {
            title: sorted(((name, int(s[0]), [value / s[0] for value in s[1:]]) for name, s in group.items()), key=lambda row: -row[1])
            for title, group in self.groups.items()
        }


@dataclass
class Breakdown:
    """What one pass found: `detail` is one of Labels, Values, Spans, Answers or None."""

    rows: int = 0
    wrong_rows: int | None = None
    errors: int = 0
    cut: int = 0
    detail: Labels | Values | Spans | Answers | None = None
    worst: list[Line] = field(default_factory=list)


def counted(found: Breakdown) -> dict[str, Counts]:
    """Counts per label, type or tag; empty for other kinds of prediction."""
    if isinstance(found.detail, Labels):
        return found.detail.per_label
    return found.detail.table() if isinstance(found.detail, Spans) else {}


def inputs(line: Line) -> dict[str, Any]:
    """The input roles of a line."""
    found = line.get("input")
    if isinstance(found, dict):
        return found
    return {name: line[name] for name in ("text", "text_pair", "tokens", "question", "context", "document", "source") if name in line}


def break_down(lines: Iterable[Line], primary: str = "", limit: int = WORST) -> Breakdown:
    """Read all lines once; memory stays that of the tables and of `limit` rows."""
    found = Breakdown()
    heap: list[tuple[tuple[float, float, int], Line]] = []
    for i, line in enumerate(lines):
        said = line.get("prediction")
        line["prediction"] = said = said if isinstance(said, dict) else {}
        found.rows += 1
        found.errors += bool(said.get("error") or line.get("error"))
        found.cut += bool(said.get("cut") or line.get("cut"))
        goodness = row_goodness(line, primary)
        wrong = _wrong(line)
        if wrong is not None:
            found.wrong_rows = (found.wrong_rows or 0) + wrong
        if "reference" in line and line["reference"] is not None and not said.get("error"):
            found.detail = found.detail or _detail(said)
            if found.detail is not None:
                found.detail.add(line)
        order = (-goodness[0], goodness[1], -i)
        if len(heap) < limit:
            heapq.heappush(heap, (order, line))
        elif order > heap[0][0]:
            heapq.heapreplace(heap, (order, line))
    found.worst = [line for _, line in sorted(heap, key=lambda pair: pair[0], reverse=True)]
    return found


def row_goodness(line: Line, primary: str = "") -> tuple[float, float]:
    """(row score with larger meaning better, loss): the worst row has the lowest score, then the highest loss."""
    scores = line.get("scores") if isinstance(line.get("scores"), dict) else {}
    values = {name: value for name, entry in (scores or {}).items() if (value := finite(entry)) is not None}
    loss = finite(line.get("loss"))
    right, said = finite(_only(line.get("reference"))), finite(line["prediction"].get("value"))
    if right is not None and said is not None:
        return -abs(said - right), loss or 0.0
    if primary in values:
        goodness = values[primary] if metric(primary).up else -values[primary]
    else:
        goodness = sum(value for name, value in values.items() if metric(name).up)
    return goodness, loss if loss is not None else 0.0


def _wrong(line: Line) -> bool | None:
    """Whether a row with one label was labelled wrongly; None where that says nothing."""
    said, reference = line["prediction"].get("label"), _only(line.get("reference"))
    return str(said) != str(reference) if said is not None and isinstance(reference, (str, int)) else None


def _detail(said: dict[str, Any]) -> Labels | Values | Spans | Answers | None:
    """The table that fits the fields of a prediction."""
    kinds: list[tuple[str, Callable[[], Labels | Values | Spans | Answers]]] = [
        ("answer", Answers),
        ("tags", Spans),
        ("spans", Spans),
        ("labels", Labels),
        ("value", Values),
        ("label", Labels),
    ]
    return next((make() for name, make in kinds if name in said), None)


def _only(reference: Any) -> Any:
    """The value of a reference that stands alone in a mapping, else the reference itself."""
    return next(iter(reference.values())) if isinstance(reference, dict) and len(reference) == 1 else reference


def _as_list(value: Any) -> list[Any]:
    value = _only(value)
    return list(value) if isinstance(value, (list, tuple, set)) else [] if value is None else [value]


def tags_of(line: Line) -> tuple[list[str] | None, list[str] | None]:
    """Right and predicted tags, each None where the line holds none."""
    reference = line.get("reference")
    if isinstance(reference, dict):
        reference = reference.get("tags")
    gold = reference if isinstance(reference, list) and all(isinstance(tag, str) for tag in reference) else None
    tags = line["prediction"].get("tags")
    return gold, tags if isinstance(tags, list) else None


def gold_spans(line: Line) -> Any:
    """The right character spans of a line."""
    reference = line.get("reference")
    return reference.get("spans") if isinstance(reference, dict) and "spans" in reference else reference


def answer_texts(reference: Any) -> list[str]:
    """Texts of the right answers, empty for an unanswerable question; SQuAD's and the canonical shape alike."""
    found = reference.get("answers", reference) if isinstance(reference, dict) else reference
    if isinstance(found, dict):
        found = found.get("text")
    items = found if isinstance(found, list) else [found]
    texts = [str(item.get("text") or "") if isinstance(item, dict) else str(item) for item in items if item is not None]
    return [text for text in texts if text]


def answer_kind(gold: list[str]) -> str:
    """A rough kind of the first right answer, from its letters and length."""
    if not gold:
        return "no answer in the text"
    words = gold[0].split()
    if any(character.isdigit() for character in gold[0]):
        return "number or date"
    if len(words) > LONG_ANSWER:
        return f"more than {LONG_ANSWER} words"
    return "name" if words and all(word[:1].isupper() for word in words if len(word) > 3) and gold[0][:1].isupper() else "phrase"


def question_word(question: str) -> str:
    """The first question word of an English question, `other` for the rest."""
    words = [word.strip("?,.¿\"'").lower() for word in question.split()]
    for i, word in enumerate(words):
        if word == "how" and i + 1 < len(words) and words[i + 1] in {"many", "much", "long", "old", "far", "often"}:
            return f"how {words[i + 1]}"
        if word in {"who", "what", "when", "where", "why", "which", "how", "whose", "whom"}:
            return word
    return "other"
