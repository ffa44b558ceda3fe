"""report.html: what it says, that it stands alone, and that no text of a user becomes markup."""

from __future__ import annotations

import codecs
import json
import math
import random
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneloop.errors import RunError
from oneloop.ship.breakdown import Spans, answer_kind, break_down, question_word
from oneloop.ship.curves import curves, read_curves
from oneloop.ship.marks import Span, chunks, pieces, window, word_spans
from oneloop.ship.report import report
from oneloop.ship.words import decimals, duration, redact, score

HERE = Path(__file__).resolve().parent
ESCAPES = {r"\n": "\n", r"\x00": "\x00", r"\u202e": "\u202e"}
MOODS = ["angry", "calm", "confused", "grateful", "urgent"]


def payloads() -> list[str]:
    """The 60 hostile texts, with the control characters they name."""
    lines = (HERE / "payloads.txt").read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        for shown, real in ESCAPES.items():
            line = line.replace(shown, real)
        found.append(line)
    return found


class Page(HTMLParser):
    """Elements, attributes and text of a page; text of style is left out."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(folder: Path) -> Page:
    return Page(report(folder).read_text(encoding="utf-8"))


KNOWN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "nav", "footer", "p", "h1", "h2", "h3"),
    *("div", "span", "a", "b", "small", "ul", "li", "dl", "dt", "dd", "table", "tbody", "tr", "th", "td", "figure", "figcaption", "mark"),
    *("svg", "g", "path", "line", "polyline", "rect", "circle", "text"),
}


def harmless(page: Page) -> list[str]:
    """What in a page could run, load or lead elsewhere; empty for a report."""
    found = [f"<{tag}>" for tag in page.tags if tag not in KNOWN_TAGS]
    found += [f"{tag} {name}" for tag, name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset", "action", "data"}]
    found += [value for _, name, value in page.attributes if name in {"href", "xlink:href"} and not value.startswith("#")]
    return found + [value for _, name, value in page.attributes if name == "style" and "url" in value]


# ---- what it says -------------------------------------------------------------------------------


def test_headline_states_score_interval_and_baseline(tmp_path: Path, runs: ModuleType) -> None:
    text = read(runs.spans(tmp_path / "contracts")).text
    assert "F1 0.91 (95 % interval 0.90–0.92) ; most-frequent-tag baseline 0.51" in text
    assert "clearly better than the naive method “most-frequent-tag”" in text


def test_headline_states_the_model_before_training(tmp_path: Path, runs: ModuleType) -> None:
    text = read(runs.answers(tmp_path / "qa", before={"f1": 0.02, "exact_match": 0.0})).text
    assert "baseline 0.14; before training 0.02" in text
    assert "before training 0.020" not in text


@pytest.mark.parametrize(("value", "says"), [(0.12, "not better than"), (0.135, "may be no better than")])
def test_a_score_near_its_baseline_is_called_so(tmp_path: Path, runs: ModuleType, value: float, says: str) -> None:
    folder = runs.classification(tmp_path / "run", MOODS)
    document = json.loads((folder / "metrics.json").read_text())
    document["metrics"]["macro_f1"] = {"value": value, "ci95": [value - 0.02, value + 0.02]}
    (folder / "metrics.json").write_text(json.dumps(document))
    assert says in read(folder).text


def test_a_baseline_without_the_primary_metric_is_compared_by_another(tmp_path: Path, runs: ModuleType) -> None:
    """A method that always says the mean has no correlation, but an error."""
    folder = runs.numbers(tmp_path / "similarity")
    document = json.loads((folder / "metrics.json").read_text())
    document["metrics"]["rmse"] = {"value": 0.5, "ci95": [0.45, 0.55]}
    for value, says in ((0.9, "clearly better than"), (0.52, "may be no better than"), (0.4, "not better than")):
        document["baseline"] = {"name": "mean", "metrics": {"spearman": {"value": None, "ci95": [None, None]}, "rmse": {"value": value}}}
        (folder / "metrics.json").write_text(json.dumps(document))
        text = read(folder).text
        assert f"{says} the naive method “mean”, by RMSE: it has no Spearman correlation of its own" in text


def test_lower_is_better_is_judged_the_other_way_round(tmp_path: Path, runs: ModuleType) -> None:
    metrics = {"perplexity": {"value": 8.2, "ci95": [8.0, 8.4]}, "loss": {"value": 2.1, "ci95": [2.0, 2.2]}}
    folder = runs.write_run(
        tmp_path / "lm", "masked-lm", [], metrics, "perplexity", ("unigram", {"perplexity": 120.0}), {"perplexity": 11.0}
    )
    text = read(folder).text
    assert "Perplexity 8.2" in text
    assert "clearly better than the naive method “unigram”" in text
    assert "Lower is better" in text


def test_confusion_matrix_for_few_labels_and_worst_confusions_for_many(tmp_path: Path, runs: ModuleType) -> None:
    few = report(runs.classification(tmp_path / "few", MOODS)).read_text()
    assert 'class="heat"' in few and "angry taken for calm" in few
    many = report(runs.classification(tmp_path / "many", [f"intent {i}" for i in range(77)], 3000)).read_text()
    assert 'class="heat"' not in many and "The most frequent confusions of 77 labels" in many
    assert "The 20 lowest of 77" in many


def test_confusion_counts_are_those_of_the_predictions(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "run", MOODS)
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    wrong = sum(line["prediction"]["label"] != line["reference"] for line in lines)
    found = break_down(iter(lines), "macro_f1")
    assert found.wrong_rows == wrong
    assert sum(n for _, _, n in found.detail.mistakes()) == wrong  # type: ignore[union-attr]
    assert f"{wrong} of 400 rows got a wrong label" in read(folder).text


def test_types_mistakes_and_marked_spans(tmp_path: Path, runs: ModuleType) -> None:
    page = report(runs.spans(tmp_path / "contracts")).read_text()
    text = Page(page).text
    for said in ("PARTY", "MONEY", "right words, wrong type", "right type, wrong first or last word", "not found at all"):
        assert said in text
    assert re.search(r'<mark class="missed">\d+ million euros<small>MONEY</small></mark>', page)
    assert re.search(r'<mark class="wrong">\d+ million euros<small>DATE</small></mark>', page)


def test_answers_by_kind_and_the_two_no_answer_mistakes(tmp_path: Path, runs: ModuleType) -> None:
    text = read(runs.answers(tmp_path / "qa")).text
    for said in ("no answer in the text", "number or date", "By question word", "how often", "without an answer got one"):
        assert said in text


def test_several_labels_and_numbers(tmp_path: Path, runs: ModuleType) -> None:
    assert "each label is counted for itself" in read(runs.several_labels(tmp_path / "topics")).text
    page = report(runs.numbers(tmp_path / "similarity")).read_text()
    assert "too much" in page or "too little" in page
    assert 300 < page.count('class="point"') <= 800


def test_tags_without_a_scheme_are_counted_one_by_one() -> None:
    found = Spans()
    line = {"reference": ["DET", "NOUN", "VERB"], "prediction": {"tags": ["DET", "VERB", "VERB"]}}
    found.add(line)
    assert not found.marked
    assert found.mixed_up() == [("NOUN", "VERB", 1)]
    assert (found.table()["DET"].right, found.table()["VERB"].predicted) == (1, 2)


def test_worst_rows_stand_first_with_file_and_row(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "run", MOODS)
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    worst = min(lines, key=lambda line: (line["scores"]["accuracy"], -line["loss"]))
    page = report(folder).read_text()
    first = Page(page[page.index("<article") : page.index("</article>")]).text
    assert first.startswith(f"tickets.csv, row {worst['row']} Accuracy 0.00 loss {worst['loss']:.2f}")
    assert page.count("<article") == 50


def test_settings_counts_time_signature_and_reload_check(tmp_path: Path, runs: ModuleType) -> None:
    text = read(runs.classification(tmp_path / "run", MOODS)).text
    for said in (
        "learning_rate 0.0005",
        "rows dropped 3",
        "training 74 s",
        "bootstrap:1000 seed:0",
        "gave the same predictions",
        "3 rows of 1210",
    ):
        assert said in text.replace("1,210", "1210")


def test_a_score_on_validation_rows_is_said(tmp_path: Path, runs: ModuleType) -> None:
    text = read(runs.classification(tmp_path / "run", MOODS, split="validation")).text
    assert "validation rows, which also chose the model" in text
    assert "the model did not see in training" not in text


# ---- missing parts ------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["metrics.json", "recipe.yaml", "log.jsonl", "predictions.jsonl"])
def test_a_missing_part_leaves_the_rest(tmp_path: Path, runs: ModuleType, missing: str) -> None:
    folder = runs.spans(tmp_path / "run")
    (folder / missing).unlink()
    page = read(folder)
    assert not harmless(page)
    assert "Worst rows" in page.text


@pytest.mark.parametrize("name", ["metrics.json", "recipe.yaml", "log.jsonl", "predictions.jsonl"])
def test_a_broken_part_is_said(tmp_path: Path, runs: ModuleType, name: str) -> None:
    folder = runs.spans(tmp_path / "run")
    (folder / name).write_text('{"a": [1, 2')
    assert f"{name}" in read(folder).text


def test_a_torn_last_line_costs_one_line(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "run", MOODS)
    path = folder / "predictions.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    text = read(folder).text
    assert "predictions.jsonl: 1 line could not be read" in text
    assert "of 399 rows" in text


def test_nulls_and_not_a_numbers(tmp_path: Path, runs: ModuleType) -> None:
    lines = [
        {
            "id": "1",
            "row": 1,
            "file": "a.csv",
            "input": {"text": "x"},
            "prediction": {"label": "a"},
            "reference": None,
            "loss": None,
            "scores": {},
        }
    ]
    lines.append({"id": None, "row": None, "prediction": None, "reference": "a", "loss": math.nan, "scores": {"accuracy": math.nan}})
    metrics = {"macro_f1": {"value": math.nan, "ci95": None}, "accuracy": None, "recall": {"value": 0.5, "ci95": [None, 0.6]}}
    history = [{"kind": "step", "step": 1, "loss": None}, {"kind": "evaluation", "step": 1, "metrics": {"loss": math.nan}}]
    folder = runs.write_run(
        tmp_path / "run", "sequence-classification", lines, metrics, "macro_f1", history=history, data={}, time={}, signature=None
    )
    text = read(folder).text
    assert "This run has no score" in text
    assert "nan" not in text.lower().split()


def test_no_predictions_at_all(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.write_run(tmp_path / "run", "sequence-classification", [], {}, "macro_f1", history=[])
    text = read(folder).text
    assert "There are no predictions to show" in text
    assert "Nothing was logged" in text


def test_an_unknown_task_still_gets_a_report(tmp_path: Path, runs: ModuleType) -> None:
    lines = [
        {
            "id": "1",
            "row": 1,
            "input": {"text": "one"},
            "prediction": {"generated_text": "two"},
            "reference": "two",
            "scores": {"chrf": 3.0},
        }
    ]
    text = read(runs.write_run(tmp_path / "run", "paraphrase", lines, {"chrf": {"value": 41.25, "ci95": [39.0, 43.0]}}, "chrf")).text
    assert "Paraphrase" in text and "chrF 41.2" in text


def test_rows_with_errors_are_counted_and_shown(tmp_path: Path, runs: ModuleType) -> None:
    lines = [
        {
            "id": "1",
            "row": 1,
            "file": "a.csv",
            "input": {"text": "x"},
            "prediction": {"error": "the text is empty"},
            "reference": "a",
            "scores": {},
        }
    ]
    text = read(runs.write_run(tmp_path / "run", "sequence-classification", lines, {"macro_f1": runs.score(0.5)}, "macro_f1")).text
    assert "1 row got no prediction because of an error" in text
    assert "the text is empty" in text


def test_no_folder_and_no_run_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        report(tmp_path / "nowhere")
    with pytest.raises(RunError, match="not a run folder"):
        report(tmp_path)


def test_a_hundred_thousand_predictions_take_seconds_and_show_fifty(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "run", MOODS, 100_000)
    start = time.perf_counter()
    page = report(folder).read_text()
    assert time.perf_counter() - start < 15
    assert page.count("<article") == 50
    assert len(page) < 300_000


# ---- standing alone -----------------------------------------------------------------------------


def test_one_file_without_script_or_network(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "run", MOODS)
    page = report(folder).read_text()
    assert not harmless(Page(page))
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_report_needs_no_torch(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.spans(tmp_path / "run")
    code = "import sys; from oneloop.ship.report import report; report(sys.argv[1]); print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def hostile(runs: ModuleType, folder: Path, text: str) -> Path:
    """A run whose text, label, file, model, column and error are all `text`, in every shape of prediction."""
    row = {"id": text, "row": 1, "file": text}
    lines: list[dict[str, Any]] = [
        {
            **row,
            "input": {"text": text},
            "prediction": {"label": text, "scores": {text: 0.9}},
            "reference": "other " + text,
            "scores": {text: 0.0},
        },
        {**row, "input": {text: text}, "prediction": {"error": text, "cut": text}, "reference": text, "scores": {}},
        {**row, "input": {"tokens": [text, "b"]}, "prediction": {"tags": ["B-" + text, "O"]}, "reference": ["O", "B-" + text]},
        {
            **row,
            "input": {"question": text, "context": text + " " + text},
            "prediction": {"answer": text[:3]},
            "reference": [{"text": text, "start": 0}],
        },
    ]
    metrics = {text: runs.score(0.5), "macro_f1": runs.score(0.4)}
    recipe = {"model": text, "train": text, "columns": {text: text}, text: text}
    said = {"signature": text, "reload_check": text, "notes": [text], "split": text}
    return Path(runs.write_run(folder, "sequence-classification", lines, metrics, "macro_f1", (text, {text: 0.1}), recipe=recipe, **said))


def test_X7_sixty_payloads_in_every_sink(tmp_path: Path, runs: ModuleType) -> None:
    assert len(payloads()) == 60
    for i, text in enumerate(payloads()):
        folder = hostile(runs, tmp_path / str(i), text)
        page = read(folder)
        assert not harmless(page), text
        plain = "".join(character for character in text if character.isprintable() and character not in "\x00\u202e")
        assert " ".join(plain.split())[:12] in page.text or "\n" in text or "\x00" in text or "\u202e" in text, text


def test_X7_labels_that_are_payloads_in_the_heat_map(tmp_path: Path, runs: ModuleType) -> None:
    page = read(runs.classification(tmp_path / "run", payloads()[:12]))
    assert not harmless(page)


@pytest.mark.nightly
@pytest.mark.service("chromium")
def test_X7_a_browser_builds_no_handler_from_any_payload(tmp_path: Path, runs: ModuleType) -> None:
    for i, text in enumerate(payloads()):
        path = report(hostile(runs, tmp_path / str(i), text))
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert "oneloop report" in done.stdout
        assert not harmless(Page(done.stdout)), text


def test_surrogates_and_control_characters_do_not_break_the_page(tmp_path: Path, runs: ModuleType) -> None:
    text = codecs.decode(r"a\ud800b\x07c\u202ed", "unicode_escape")
    page = report(hostile(runs, tmp_path / "run", text)).read_bytes().decode("utf-8")
    assert "\x07" not in page and "\u202e" not in page


def test_X12_tokens_are_blotted_out(tmp_path: Path, runs: ModuleType) -> None:
    token = "hf_" + "A1b2C3d4E5f6G7h8"
    recipe = {"train": f"https://me:secret@example.org/a.csv?t={token}", "hub_token": "plain-secret"}
    page = report(runs.classification(tmp_path / "run", MOODS, recipe=recipe)).read_text()
    assert token not in page and "me:secret" not in page and "plain-secret" not in page
    assert redact("max_tokens 512") == "max_tokens 512"


# ---- learning curves ----------------------------------------------------------------------------


def history(train: list[float], validation: list[float] | None = None, score_: list[float] | None = None) -> list[dict[str, Any]]:
    """A log with evenly spread evaluations."""
    lines: list[dict[str, Any]] = [{"kind": "step", "step": i + 1, "loss": loss} for i, loss in enumerate(train)]
    for i in range(max(len(validation or []), len(score_ or []))):
        metrics = {**({"loss": validation[i]} if validation else {}), **({"f1": score_[i]} if score_ else {})}
        step = round((i + 1) * len(train) / max(len(validation or []), len(score_ or [])))
        lines.append({"kind": "evaluation", "step": step, "split": "validation", "metrics": metrics})
    return lines


def falling(n: int, start: float, end: float, noise: float, pace: float = 4.0) -> list[float]:
    rng = random.Random(n)
    return [end + (start - end) * math.exp(-pace * i / n) + rng.gauss(0, noise) for i in range(n)]


HISTORIES = [
    ("healthy", falling(200, 1.6, 0.2, 0.05), [0.9, 0.5, 0.36, 0.31, 0.3], None),
    ("healthy", falling(40, 0.7, 0.1, 0.03), [0.5, 0.35, 0.3], None),
    ("healthy", falling(1000, 4.3, 0.3, 0.15), [2.0, 1.0, 0.62, 0.5, 0.46], None),
    ("healthy", falling(12, 1.1, 0.2, 0.02), [0.7, 0.45, 0.4], None),
    ("overfitting", falling(200, 1.6, 0.01, 0.03), [0.9, 0.5, 0.45, 0.55, 0.7, 0.9], None),
    ("overfitting", falling(60, 0.7, 0.02, 0.02), [0.5, 0.48, 0.61, 0.8], None),
    ("overfitting", falling(200, 0.7, 0.01, 0.01, 6), [0.62, 0.6, 0.6, 0.6, 0.6], None),
    ("overfitting", falling(200, 1.6, 0.05, 0.03), None, [0.6, 0.8, 0.82, 0.74, 0.7]),
    ("underfitting", falling(200, 1.40, 1.32, 0.03), [1.39, 1.37, 1.36, 1.35], None),
    ("underfitting", [1.1] * 30, [1.1, 1.1, 1.1], None),
    ("underfitting", [2.0 - 0.003 * i for i in range(200)], [1.9, 1.75, 1.6, 1.45], None),
    ("erratic", [1.0 + (0.8 if i % 2 else -0.7) for i in range(60)], [0.9, 1.4, 0.7, 1.6, 0.8], None),
    ("erratic", falling(200, 1.0, 0.4, 0.6), None, None),
    ("erratic", falling(100, 1.2, 0.3, 0.03), [0.6, 1.2, 0.5, 1.3, 0.6, 1.4], None),
    ("diverged", [1.0, 0.8, math.nan, math.nan, math.nan], None, None),
    ("too short", [1.0, 0.9], None, None),
]


@pytest.mark.parametrize(("kind", "train", "validation", "score_"), HISTORIES)
def test_C130_synthetic_histories_are_classified(
    kind: str, train: list[float], validation: list[float] | None, score_: list[float] | None
) -> None:
    reading = read_curves(curves(history(train, validation, score_)), "f1")
    assert reading.kind == kind, reading
    assert reading.advice or kind in {"healthy", "too short"}


def test_C130_a_pretrained_model_that_hardly_moves_is_not_called_underfitting() -> None:
    log = history(falling(200, 3.2, 3.0, 0.02), [3.1, 3.05, 3.02, 3.01])
    assert read_curves(curves(log), "perplexity", up=False, new_head=False).kind == "healthy"


def test_curves_of_a_resumed_run_count_each_step_once() -> None:
    log = [{"kind": "step", "step": step, "loss": 1.0} for step in (1, 2, 3, 2, 3, 4)]
    assert [step for step, _ in curves(log).train] == [1, 2, 3, 4]


def test_test_evaluations_are_no_validation_curve() -> None:
    log = [{"kind": "evaluation", "step": 9, "split": "test", "metrics": {"loss": 1.0}}]
    assert curves(log).validation == {}


@pytest.mark.parametrize("when", ["before training", "after training"])
def test_evaluations_before_and_after_training_are_no_points_of_a_curve(when: str) -> None:
    line = {"kind": "evaluation", "step": 0, "split": "validation", "metrics": {"loss": 1.0}}
    log = [{**line, "when": when, "step": 9, "metrics": {"loss": 2.0}}, {**line, "when": "during training", "step": 4}]
    assert curves(log).validation == {"loss": [(4.0, 1.0)]}


# ---- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-A", "I-A", "O", "B-A"], [(0, 2, "A"), (3, 4, "A")]),
        (["I-A", "I-A", "I-B"], [(0, 2, "A"), (2, 3, "B")]),
        (["B-A", "B-A"], [(0, 1, "A"), (1, 2, "A")]),
        (["S-A", "B-B", "E-B", "I-B"], [(0, 1, "A"), (1, 3, "B"), (3, 4, "B")]),
        (["A", "A", "O", "B"], [(0, 2, "A"), (3, 4, "B")]),
        (["B-first-name", "I-first-name"], [(0, 2, "first-name")]),
        ([], []),
    ],
)
def test_chunks_of_every_scheme(tags: list[str], expected: list[tuple[int, int, str]]) -> None:
    assert [tuple(span) for span in chunks(tags)] == expected


def test_word_spans_are_characters_of_the_joined_words() -> None:
    words = ["Tern", "Ltd", "pays"]
    found = word_spans(words, ["B-PARTY", "I-PARTY", "O"])
    assert [" ".join(words)[span.start : span.end] for span in found] == ["Tern Ltd"]


def test_pieces_cover_the_window_exactly_even_when_spans_overlap() -> None:
    text = "".join(random.Random(1).choice("ab ") for _ in range(900))
    marked = [Span(5, 20, "X"), Span(15, 30, "Y"), Span(400, 410, "X"), Span(880, 900, "Z")]
    part = window(text, [marked[2]])
    shown = pieces(text, marked, marked[:1], part)
    assert "".join(piece.text for piece in shown) == "… " + text[part[0] : part[1]] + " …"
    assert any(piece.label == "X" for piece in shown)


def test_numbers_keep_apart_what_differs() -> None:
    assert decimals([0.904, 0.909, 0.91], 1.0) == 3
    assert decimals([0.9, 0.5], 1.0) == 2
    assert score({"value": 0.5, "ci95": [0.4, 0.6]}).high == 0.6
    assert score(None).value is None and score(True).value is None
    assert (duration(3.21), duration(74.2), duration(200), duration(7500)) == ("3.2 s", "74 s", "3 min 20 s", "2 h 05 min")


def test_answers_are_sorted_into_kinds() -> None:
    assert [answer_kind([text]) for text in ("1931", "Ines Almgren", "twice a day")] == ["number or date", "name", "phrase"]
    assert [question_word(text) for text in ("How many boats?", "In which year?", "Name it.")] == ["how many", "which", "other"]
