"""Exports of annotation programs as text with spans: Label Studio, doccano, spaCy, Prodigy, Argilla.

In:  one nested row as the program wrote it
Out: {"text", "spans": [{"start", "end", "label"}], …further columns}; offsets as written (offsets.py settles their unit)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oneloop.read.cells import END, START, as_spans
from oneloop.read.table import Cells

ONE_EACH = ("label-studio", "doccano", "spans", "translation")  # shapes that give one row for each row
SPAN_KEYS = ("spans", "entities", "ents", "label", "labels", "annotations", "annotation", "ner", "highlights")
TEXT_KEYS = ("text", "data", "content", "sentence", "document", "body", "raw", "context")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row of an export."""

    reason: str
    remedy: str = ""
    column: str = ""


def _text_key(row: Cells) -> str | None:
    for key in TEXT_KEYS:
        if isinstance(row.get(key), str):
            return key
    texts = [key for key, value in row.items() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 else None


def _span_list(value: Any) -> bool:
    """Whether a cell is a list of spans in any spelling, right or wrong, or an empty list."""
    return isinstance(value, list) and all(_looks_like_span(item) for item in value[:3])


def _looks_like_span(item: Any) -> bool:
    if isinstance(item, dict):
        return any(key in item for key in START) and any(key in item for key in END)
    if not isinstance(item, list) or not 3 <= len(item) <= 4:
        return False
    numbers = sum(isinstance(part, int) and not isinstance(part, bool) for part in item)
    return numbers >= 2 and any(isinstance(part, str) for part in item)


# ---- Prodigy, Hugging Face style, generic ------------------------------------------------------------------------------
def _span_key(row: Cells) -> str | None:
    keys = [key for key in SPAN_KEYS if _span_list(row.get(key))]
    full = [key for key in keys if row[key]]
    return next(iter(full or [key for key in keys if key in ("spans", "entities", "label")]), None)


def keys_of(row: Cells) -> tuple[str | None, str | None]:
    """What a row calls its text and its spans."""
    return _text_key(row), _span_key(row)


def is_spans(row: Any) -> bool:
    """{"text": …, "spans" | "entities": [...]} as Prodigy, spaCy users and many others write."""
    return isinstance(row, dict) and _text_key(row) is not None and _span_key(row) is not None


def lay_spans(row: Cells) -> Iterator[Cells | Fault]:
    """text and spans, further columns kept; Prodigy's rejected answers are left out as faults would be, with a reason."""
    text, spans = _text_key(row), _span_key(row)
    if text is None or spans is None:
        yield Fault("has no text with a list of spans", "give it text and spans")
        return
    others = {key: value for key, value in row.items() if key not in (text, spans)}
    yield from _row(row[text], row[spans], others)


def _row(text: str, spans: Any, others: Cells) -> Iterator[Cells | Fault]:
    try:
        found = as_spans(spans)
    except ValueError as error:
        yield Fault(str(error), column="spans")
        return
    yield {"text": text, "spans": found} | {key: value for key, value in others.items() if key not in ("text", "spans")}


# ---- doccano -----------------------------------------------------------------------------------------------------------
def is_doccano(row: Any) -> bool:
    """{"text" | "data": …, "label": [[start, end, "PER"], …]} or {"text", "entities": [{start_offset, …}], "relations"}."""
    if not isinstance(row, dict) or _text_key(row) is None:
        return False
    entities = row.get("entities")
    offsets = isinstance(entities, list) and bool(entities) and isinstance(entities[0], dict) and "start_offset" in entities[0]
    if offsets or (isinstance(entities, list) and "relations" in row):
        return _span_list(entities)
    label = row.get("label", row.get("labels"))
    return isinstance(label, list) and all(isinstance(item, list) and len(item) == 3 for item in label) and _span_list(label)


def lay_doccano(row: Cells) -> Iterator[Cells | Fault]:
    """text and spans; id, relations, comments and metadata stay as columns."""
    key = next(key for key in ("entities", "label", "labels") if isinstance(row.get(key), list))
    yield from lay_spans({"text": row[_text_key(row) or "text"], "spans": row[key]} | _without(row, key, _text_key(row)))


def _without(row: Cells, *keys: str | None) -> Cells:
    return {key: value for key, value in row.items() if key not in keys}


# ---- Label Studio ------------------------------------------------------------------------------------------------------
def is_label_studio(row: Any) -> bool:
    """{"data": {...}, "annotations": [{"result": [...]}]} (older: "completions")."""
    return isinstance(row, dict) and isinstance(row.get("data"), dict) and any(isinstance(row.get(key), list) for key in _RESULTS)


_RESULTS = ("annotations", "completions", "predictions")


def lay_label_studio(row: Cells) -> Iterator[Cells | Fault]:
    """text, spans and/or label from the first annotation that was not cancelled; all other strings of `data` as columns."""
    made = [item for key in _RESULTS[:2] for item in row.get(key) or [] if isinstance(item, dict) and not item.get("was_cancelled")]
    result = made[0].get("result", []) if made else []
    data = row["data"]
    text_key = _label_studio_text(data, result)
    found: Cells = {"id": str(row["id"])} if "id" in row else {}
    found |= {key: value for key, value in data.items() if key != text_key and not isinstance(value, dict)}
    text = data.get(text_key)
    spans, labels, faults = _label_studio_result(result)
    if faults:
        yield faults[0]
        return
    if text_key is not None:
        found["text"] = text
    if spans is not None or not labels:
        found["spans"] = spans or []
    for name, chosen in labels.items():
        found[name] = chosen[0] if len(chosen) == 1 else chosen
    if not isinstance(text, str):
        yield Fault("the task has no text", 'give "data" a text field', "data")
        return
    if not made:
        found.pop("spans", None)  # not annotated yet
    yield found


def _label_studio_text(data: Cells, result: list[Cells]) -> str | None:
    texts = [key for key, value in data.items() if isinstance(value, str)]
    for wanted in (*(item.get("to_name") for item in result if isinstance(item, dict)), *TEXT_KEYS):
        if wanted in texts:
            return wanted
    return max(texts, key=lambda key: len(data[key]), default=None)


def _label_studio_result(result: list[Any]) -> tuple[list[Cells] | None, dict[str, list[Any]], list[Fault]]:
    """Spans, chosen labels by control name, and faults of one annotation's result."""
    spans: list[Cells] | None = None
    labels: dict[str, list[Any]] = {}
    faults = []
    for item in result:
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(value, dict):
            continue
        if "start" in value and "end" in value:
            named = next((value[key] for key in ("labels", "hypertextlabels", "label") if value.get(key)), None)
            try:
                span = {"start": value["start"], "end": value["end"], "label": named, "text": value.get("text")}
                spans = (spans or []) + as_spans([span])
            except ValueError as error:
                faults.append(Fault(str(error), column="result"))
        elif isinstance(value.get("choices"), list):
            labels.setdefault(str(item.get("from_name", "label")), []).extend(map(str, value["choices"]))
        elif isinstance(value.get("rating", value.get("number")), int | float):
            labels[str(item.get("from_name", "score"))] = [value.get("rating", value.get("number"))]
        elif value.get("text") is not None:
            texts = value["text"] if isinstance(value["text"], list) else [value["text"]]
            labels[str(item.get("from_name", "answer"))] = [str(text) for text in texts]
    return spans, labels, faults


# ---- spaCy -------------------------------------------------------------------------------------------------------------
def is_spacy_pairs(row: Any) -> bool:
    """["text", {"entities": [[start, end, "LABEL"]]}], spaCy 2's training list (here a row with columns 0 and 1)."""
    if not isinstance(row, dict) or set(row) != {"0", "1"} or not isinstance(row["0"], str):
        return False
    return isinstance(row["1"], dict) and any(key in row["1"] for key in ("entities", "spans", "cats"))


def is_spacy_tool(document: Any) -> bool:
    """{"classes": [...], "annotations": [["text", {"entities": …}], …]}, written by the spaCy annotation page."""
    items = document.get("annotations") if isinstance(document, dict) else None
    pairs = [item for item in items or [] if item] if isinstance(items, list) else []
    return bool(pairs) and all(isinstance(item, list) and len(item) == 2 and isinstance(item[1], dict) for item in pairs[:50])


def lay_spacy_pair(row: Cells) -> Iterator[Cells | Fault]:
    """text, spans and, where categories are given, labels: those with a value of 0.5 or more."""
    marks = row["1"]
    spans = marks.get("entities", marks.get("spans"))
    others = {"labels": [name for name, value in marks["cats"].items() if value >= 0.5]} if isinstance(marks.get("cats"), dict) else {}
    if spans is None:
        yield {"text": row["0"]} | others
        return
    yield from _row(row["0"], spans, others)


def is_spacy_documents(row: Any) -> bool:
    """spaCy 2's JSON training format: {"id", "paragraphs": [{"raw", "sentences": [{"tokens": [{"orth", "ner"}]}]}]}."""
    paragraphs = row.get("paragraphs") if isinstance(row, dict) else None
    return isinstance(paragraphs, list) and bool(paragraphs) and all(isinstance(item, dict) and "sentences" in item for item in paragraphs)


def lay_spacy_documents(row: Cells) -> Iterator[Cells | Fault]:
    """One row for each sentence: tokens, and tags (ner, BILUO written as BIOES) with pos where present."""
    for paragraph in row["paragraphs"]:
        for sentence in paragraph["sentences"]:
            tokens = sentence["tokens"]
            found: Cells = {"tokens": [token["orth"] for token in tokens]}
            if all("ner" in token for token in tokens):
                found["tags"] = [_bioes(token["ner"]) for token in tokens]
            if all("tag" in token for token in tokens):
                found["pos"] = [token["tag"] for token in tokens]
            yield found | {"document": str(row.get("id", ""))}


def _bioes(tag: str) -> str:
    return {"U-": "S-", "L-": "E-"}.get(tag[:2], tag[:2]) + tag[2:]


# ---- Argilla -----------------------------------------------------------------------------------------------------------
def is_argilla(row: Any) -> bool:
    """Version 1 token rows {"text", "tokens", "annotation": [["PER", 0, 5]]}; version 2 {"fields": {"text"}, "responses": {...}}."""
    if not isinstance(row, dict):
        return False
    if isinstance(row.get("fields"), dict) and any(key in row for key in ("responses", "suggestions")):
        return any(isinstance(value, str) for value in row["fields"].values())
    return isinstance(row.get("text"), str) and "annotation_agent" in row and _span_list(row.get("annotation"))


def lay_argilla(row: Cells) -> Iterator[Cells | Fault]:
    """text with spans, or with one column for each question that was answered."""
    if "fields" not in row:
        yield from _row(row["text"], row["annotation"], _without(row, "text", "annotation", "prediction"))
        return
    text_key = _text_key(row["fields"]) or next(key for key, value in row["fields"].items() if isinstance(value, str))
    found: Cells = {"text": row["fields"][text_key]} | _without(row["fields"], text_key)
    if "id" in row:
        found["id"] = str(row["id"])
    for question, answers in (row.get("responses") or {}).items():
        answer = answers[0] if isinstance(answers, list) and answers else answers
        value = answer.get("value") if isinstance(answer, dict) else answer
        if _span_list(value) and value:
            yield from _row(found["text"], value, _without(found, "text"))
            return
        found[question] = value
    yield found
