"""The worst rows as the report shows them.

In:  lines of predictions.jsonl.
Out: for each its origin, scores, and labelled texts made of Pieces, with right and predicted spans marked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneloop.ship import breakdown, marks, words


def worst_row(line: dict[str, Any], primary: str) -> dict[str, Any]:
    """One row as the page shows it: where it is from, its score and loss, and parts: labelled texts made of Pieces."""
    scores = line.get("scores") if isinstance(line.get("scores"), dict) else {}
    shown = {name: value for name, entry in (scores or {}).items() if (value := words.finite(entry)) is not None}
    first = [name for name in (primary, *shown) if name in shown][:2]
    row = line.get("row")
    said = line["prediction"]
    return {
        "where": f"{Path(str(line.get('file') or '')).name or 'row'}{f', row {row}' if row is not None else ''}",
        "id": str(line.get("id")) if line.get("id") not in (None, row, str(row)) else "",
        "scores": [(words.metric(name).name, words.number(shown[name], 2)) for name in dict.fromkeys(first)],
        "loss": words.finite(line.get("loss")),
        "error": said.get("error") or line.get("error"),
        "cut": said.get("cut") or line.get("cut"),
        "parts": _parts(line),
    }


def _parts(line: dict[str, Any]) -> list[tuple[str, list[marks.Piece]]]:
    """(heading, pieces) of a row: marked texts for spans and answers, plain ones for the rest."""
    given, said, reference = breakdown.inputs(line), line["prediction"], line.get("reference")
    if "tags" in said or "spans" in said:
        return _span_parts(given, line)
    if "answer" in said:
        return _answer_parts(given, line)
    parts = [(words.title(role), [marks.Piece(marks.shorten(_text(value)))]) for role, value in given.items()]
    same = _text(_said(said)) == _text(reference)
    return [
        *parts,
        ("Should be", [marks.Piece(marks.shorten(_text(reference)), kind="right")]),
        ("Model said", [marks.Piece(marks.shorten(_text(_said(said))), kind="right" if same else "wrong"), marks.Piece(_sure(said))]),
    ]


def _span_parts(given: dict[str, Any], line: dict[str, Any]) -> list[tuple[str, list[marks.Piece]]]:
    """The text twice: with the right spans, then with the predicted ones, around the first difference."""
    gold_tags, tags = breakdown.tags_of(line)
    tokens = given.get("tokens")
    if isinstance(tokens, list) and gold_tags is not None and tags is not None:
        shown = [str(token) for token in tokens]
        text, whole = " ".join(shown), any(marks.split_tag(tag)[1] != tag for tag in gold_tags)
        gold, found = marks.word_spans(shown, gold_tags, whole), marks.word_spans(shown, [str(tag) for tag in tags], whole)
    else:
        text = str(given.get("text") or " ".join(str(token) for token in tokens or ()))
        gold, found = marks.spans(breakdown.gold_spans(line), len(text)), marks.spans(line["prediction"].get("spans"), len(text))
    differ = set(gold) ^ set(found)
    part = marks.window(text, differ or gold)
    return [("Should be", marks.pieces(text, gold, found, part, "missed")), ("Model said", marks.pieces(text, found, gold, part))]


def _answer_parts(given: dict[str, Any], line: dict[str, Any]) -> list[tuple[str, list[marks.Piece]]]:
    """Question, both answers, and the context around them with the right answer and the model's marked."""
    said, context = line["prediction"], str(given.get("context") or "")
    gold = breakdown.answer_texts(line.get("reference"))
    answer = str(said.get("answer") or "")
    right = [marks.Span(at, at + len(text), "should be") for text in gold[:1] if (at := _answer_start(line, context, text)) >= 0]
    start = said.get("start")
    at = start if isinstance(start, int) and context[start : start + len(answer)] == answer else context.find(answer)
    wrong = [marks.Span(at, at + len(answer), "model said")] if answer and at >= 0 and answer not in gold else []
    shown = marks.pieces(context, sorted([*right, *wrong]), right, marks.window(context, [*right, *wrong]))
    return [
        ("Question", [marks.Piece(marks.shorten(str(given.get("question") or "")))]),
        ("Should be", [marks.Piece(" / ".join(dict.fromkeys(gold)) or "no answer", kind="right")]),
        ("Model said", [marks.Piece(answer or "no answer", kind="right" if answer in gold or not (answer or gold) else "wrong")]),
        ("Context", shown),
    ]


def _answer_start(line: dict[str, Any], context: str, text: str) -> int:
    """Where the first right answer stands in the context; -1 when it does not."""
    reference = line.get("reference")
    found = reference.get("answers", reference) if isinstance(reference, dict) else reference
    starts = [item.get("start", item.get("answer_start")) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if isinstance(found, dict) and isinstance(found.get("answer_start"), list):
        starts = found["answer_start"]
    good = [start for start in starts if isinstance(start, int) and context[start : start + len(text)] == text]
    return good[0] if good else context.find(text)


def _said(prediction: dict[str, Any]) -> Any:
    """The field of a prediction that a person asked for."""
    names = ("label", "labels", "value", "summary_text", "translation_text", "generated_text", "fills", "hits")
    return next((prediction[name] for name in names if name in prediction), "")


def _sure(prediction: dict[str, Any]) -> str:
    """` (sure to 93 %)` for a label with its probability."""
    scores, label = prediction.get("scores"), prediction.get("label")
    sure = words.finite(scores.get(label)) if isinstance(scores, dict) and isinstance(label, str) else None
    return f"  (sure to {sure:.0%})" if sure is not None else ""


def _text(value: Any) -> str:
    """Any cell as text: lists are joined, hits and fills by their own text, numbers rounded."""
    if isinstance(value, dict):
        if len(value) == 1:
            return _text(next(iter(value.values())))
        return str(value.get("text") or value.get("token") or value.get("title") or value.get("id") or value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value[:12]) + (" …" if len(value) > 12 else "") or "nothing"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "nothing" if value is None or value == "" else str(value)
