"""Token classification: a tag for each word, and the entities that follow (names, slots, parts of speech, chunks).

In:  {"tokens": ["Ada", "Lovelace", "wrote"], "tags": ["B-PER", "I-PER", "O"]}
     or {"text": "Ada Lovelace wrote", "spans": [{"start": 0, "end": 12, "label": "PER"}]}
Out: {"tags": [one for each word], "spans": [{"start": 0, "end": 12, "label": "PER", "score": 0.98, "text": "Ada Lovelace"}]}

Entities are learned, predicted and scored as IOB2 tags, whatever scheme the data is written in. Offsets of spans count in
the row's text; in a row that has only words, in the words joined by single spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from oneloop.errors import DataError, Problem, RecipeError
from oneloop.read import cells
from oneloop.tasks.base import IGNORE, Clues, Column, Feature, Field, Prediction, Row, Task

if TYPE_CHECKING:
    from oneloop.encode.marked import Words
    from oneloop.measure.statistics import Statistics

OUTSIDE = "O"
CHOICES = {"label_pieces": ("first", "all"), "aggregation": ("first", "max", "average", "simple")}


class TokenClassification(Task):
    """Find and name the words that matter."""

    name = "token-classification"
    columns = (
        Column("tokens", cells.tokens, required=False, help="the words"),
        Column("text", cells.text, required=False, help="the text, for rows without words"),
        Column("tags", cells.tags, target=True, required=False, help="one tag for each word"),
        Column("spans", cells.spans, target=True, required=False, help="start, end and label of each marked stretch of the text"),
    )
    head = "AutoModelForTokenClassification"
    metric = "f1"
    aliases = ("ner", "pos", "chunking")
    does = "gives each word a tag: names, slots and other entities, parts of speech, chunks"
    label_shape = "one id per token, -100 where there is none (special tokens, later pieces of a word)"
    collator = "pads inputs and labels, the labels with -100"
    metric_limits = (
        "Entity F1 counts only exact spans of the right type: one word too many is a miss and a false alarm. f1 reads broken tag "
        "sequences as conlleval does, f1_strict does not. Accuracy is high whenever most words are O."
    )
    wrinkle = "alignment"
    clues = Clues(
        phrases={
            r"\b(named[- ]entit\w+|entit(y|ies)|entidades|entites|entitaten|part[- ]of[- ]speech|wortart|bio tag\w*"
            r"|slot[- ]filling)\b": 2.5,
            r"\b(each|every|which|jedes|cada|chaque) (word|token|wort|palabra|mot)s?\b": 1.5,
            r"\b(mask|redact|black out|blacken|strip|ocultar|tachar|masquer|schwarzen)\b.{0,60}\b(names?|pii|personal"
            r"|numbers?|address\w*|ident\w+|nombres|noms|namen)\b": 2.5,
            r"\b(anonymi[sz]|anonimiz|anonymisier|de-?identif)\w*": 2.0,
            r"\b(extract|pull|pick out|capture|highlight|mark|underline|copy|extraer|sacar|extraire|relever|herausziehen"
            r"|extrahieren)\b.{0,40}\b(dates?|names?|compan(y|ies)|amounts?|address(es)?|drugs?|doses?|skills|places|people"
            r"|fechas?|nombres|montants?|noms|firmen|betrag)\b": 1.5,
            r"\b(all|every|each) (mentions?|occurrences?|names?|dates|places|companies|drugs|amounts)\b": 1.2,
        },
        shape="a list of words and an equally long list of tags, or a text with marked stretches (start, end, label)",
        example="Pull dates and companies out of contracts.",
    )
    fields = {
        "label_pieces": Field(str, "first", "which pieces of a word are trained: `first`, or `all` (B- goes on as I-)"),
        "aggregation": Field(str, "first", "a word's score from its pieces: first, max, average or simple"),
        "valid_transitions": Field(bool, True, "predict the most probable tag sequence without O I-X and B-X I-Y"),
        "case_marks": Field(bool, True, "mark capitals for a tokenizer that lower-cases, where the text has both"),
    }
    defaults = {"learning_rate": 3e-4, "head_factor": 3.0, "batch_rows": 16, "epochs": 5.0, "freeze": 2}
    full_epochs_to = 1500
    row_metrics = ("accuracy", "f1")
    per_token = ("logits",)

    def __init__(self, settings: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> None:
        super().__init__(settings, facts)
        for name, choices in CHOICES.items():
            if self.settings[name] not in choices:
                raise RecipeError(f"'{name}' is {self.settings[name]!r}", expected="one of " + ", ".join(choices), fix=f"change '{name}'")
        self._set_metric()

    def _set_metric(self) -> None:
        vars(self)["metric"] = "accuracy" if self.facts.get("kind") == "pos" else "f1"  # the class's metric holds for entities

    @property
    def labels(self) -> list[str]:
        """The tags, in the order of the model's outputs."""
        return list(self.facts.get("labels", []))

    @property
    def level(self) -> str:
        """How finely texts are split into words."""
        return str(self.facts.get("level", "words"))

    # ---- what the rows say ----------------------------------------------------------------------
    def prepare_rows(self, rows: Sequence[Row]) -> tuple[list[Row], list[str], list[Problem]]:
        """Tags in IOB2, spans on whole characters and without overlaps; what was changed; and rows that do not fit."""
        from oneloop.encode.marked import prepared

        return prepared(rows)

    def learn(self, rows: Sequence[Row]) -> None:
        """Tags (O first, then B- and I- of each type by name), and how finely texts are split. DataError if there are none."""
        from oneloop.encode.marked import misfits, tag_facts

        problems = misfits(rows)
        if problems:
            raise DataError(f"{len(problems)} rows have tags or spans that do not fit their words", problems)
        self.facts |= tag_facts(rows)
        self._set_metric()

    def unknown_labels(self, rows: Sequence[Row]) -> list[Problem]:
        """One problem for each tag or label of each row that no training row has."""
        from oneloop.encode.labels import unknown
        from oneloop.measure.entities import parse

        entities = self.facts["kind"] == "entities"
        known = {parse(label)[1] for label in self.labels} if entities else set(self.labels)

        def names(row: Row) -> list[str]:
            tags = {parse(tag)[1] if entities else tag for tag in row.get("tags", ())}
            return sorted(tags | {span["label"] for span in row.get("spans", ())})

        return unknown(rows, names, known, lambda row: "tags" if "tags" in row else "spans")

    def prepare_tokenizer(self, tokenizer: Any, rows: Sequence[Row]) -> Any:
        """The tokenizer with marks for capitals, where it would drop them and they tell something."""
        from oneloop.encode import case, marked

        words = (word for row in rows for word in marked.words_of(row, self.level).words)
        if self.settings["case_marks"] and case.lowers(tokenizer) and case.tells(words):
            return case.mark_case(tokenizer)
        return tokenizer

    def has_target(self, row: Row) -> bool:
        """Whether the row has tags or spans."""
        return "tags" in row or "spans" in row

    @classmethod
    def facts_from_config(cls, config: Any) -> dict[str, Any]:
        """Tags from a Hugging Face config; whether they follow IOB2 is not known, so every sequence is allowed."""
        from oneloop.measure.entities import has_entities

        facts = super().facts_from_config(config)
        return facts | {"kind": "entities" if has_entities(facts["labels"]) else "pos", "scheme": "unknown"}

    # ---- text to ids ------------------------------------------------------------------------------
    def encode(self, rows: Sequence[Row], tokenizer: Any) -> list[Feature]:
        """Features of each row: one, or windows that tear no word; every word is answered for by one of them."""
        from oneloop.encode.marked import gold_tags, words_of
        from oneloop.encode.tagged import window_words
        from oneloop.encode.words import continuations

        place = {name: i for i, name in enumerate(self.labels)}
        marked = [words_of(row, self.level) for row in rows]
        gold = [gold_tags(row, item, self.labels) for row, item in zip(rows, marked)]
        ids = [None if tags is None else [place.get(tag, IGNORE) for tag in tags] for tags in gold]
        later = continuations(self.labels) if self.settings["label_pieces"] == "all" else None
        words = [item.words for item in marked]
        return window_words(words, ids, later, tokenizer, self.settings.get("max_length"), self.settings.get("stride"))

    # ---- tags and spans -----------------------------------------------------------------------------
    def decode(
        self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row], tokenizer: Any = None
    ) -> list[Prediction]:
        """One prediction per row: a tag for every word, and the entities with their mean word score."""
        from oneloop.encode.marked import words_of
        from oneloop.encode.viterbi import best_tags, may_follow
        from oneloop.encode.word_scores import word_scores

        marked = [words_of(row, self.level) for row in rows]
        lengths = [len(item.words) for item in marked]
        outside = self.labels.index(self.facts.get("usual", OUTSIDE)) if self.facts.get("usual", OUTSIDE) in self.labels else 0
        found = word_scores([output["logits"] for output in outputs], features, lengths, self.settings["aggregation"], outside)
        tags = found.probabilities.argmax(axis=1)
        if self.settings["valid_transitions"] and self.facts.get("scheme") == "IOB2":
            tags = best_tags(np.log(found.probabilities + 1e-30), lengths, may_follow(self.labels))
        scores, weights = found.probabilities[np.arange(len(tags)), tags], np.ones(len(tags))
        if self.settings["aggregation"] == "simple":
            scores, weights = found.certainty, found.seen
        names, ends = np.array(self.labels, dtype=object)[tags], np.cumsum(lengths)
        spans = [slice(end - length, end) for end, length in zip(ends, lengths)]
        predictions = [self._predict(item, names[s].tolist(), scores[s].tolist(), weights[s].tolist()) for item, s in zip(marked, spans)]
        for feature in features:
            if feature["cut"]:
                predictions[feature["row"]]["cut"] = predictions[feature["row"]].get("cut", 0) + feature["cut"]
        return predictions

    def _predict(self, marked: Words, tags: list[str], scores: list[float], weights: list[float]) -> Prediction:
        """The prediction of one row from the tags, scores and weights of its words."""
        from oneloop.measure.entities import chunks

        found = []
        for label, first, end in chunks(tags) if self.facts.get("kind") != "pos" else ():
            start, stop = marked.places[first][0], marked.places[end - 1][1]
            weight = sum(weights[first:end])
            score = sum(map(mul, scores[first:end], weights[first:end])) / weight if weight else 0.0
            found.append({"start": start, "end": stop, "label": label, "score": score, "text": marked.text[start:stop]})
        return {"tags": tags, "spans": found}

    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Statistics:
        """precision, recall, f1 (conlleval), f1_strict and accuracy; accuracy and macro_f1 for tags that mark no entities."""
        from oneloop.encode.marked import tags_to_score
        from oneloop.encode.spans import as_iob2
        from oneloop.measure import entities

        pairs = [tags_to_score(row, self.level, said["tags"], self.labels) for said, row in zip(predictions, rows)]
        if self.facts.get("kind") == "pos":
            return entities.tags([said for said, _ in pairs], [true for _, true in pairs])
        if self.facts.get("scheme") != "IOB2":
            pairs = [(as_iob2(said), as_iob2(true)) for said, true in pairs]
        return entities.entities([said for said, _ in pairs], [true for _, true in pairs], scheme="IOB2")

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> tuple[str, list[Prediction]] | None:
        """Every word gets the tag it has most often in the training rows; unknown words the tag that is most frequent of all."""
        from oneloop.encode.marked import gold_tags, words_of
        from oneloop.measure.baseline import most_frequent_tag

        marked = [words_of(row, self.level) for row in rows]
        learned = [(words_of(row, self.level), row) for row in train]
        tagged = [{"tokens": item.words, "tags": gold_tags(row, item, self.labels)} for item, row in learned]
        name, said = most_frequent_tag(tagged, [{"tokens": item.words} for item in marked])
        ones = [[1.0] * len(item.words) for item in marked]
        return name, [self._predict(item, line["tags"], one, one) for item, line, one in zip(marked, said, ones)]
