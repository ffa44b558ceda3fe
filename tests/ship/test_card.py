"""The model card: metadata the Hub reads, every section, and no text of a user as markup."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from oneloop.ship.card import card, escape, fenced

HERE = Path(__file__).resolve().parent
SECTIONS = [
    "Model description", "Intended uses and limitations", "How to use", "Limitations and bias", "Training data",
    "Training procedure", "Variables and metrics", "Evaluation results", "Versions",
]  # fmt: skip
MOODS = ["angry", "calm", "confused", "grateful", "urgent"]


def parts(path: Path) -> tuple[dict[str, Any], str]:
    """Metadata and body of a card, as the Hub splits them."""
    found = re.match(r"---\n(.*?)\n---\n(.*)", path.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return yaml.safe_load(found.group(1)), found.group(2)


def html(body: str) -> str:
    """The body as a renderer of GitHub's Markdown shows it, raw HTML let through and bare links linked as the Hub does."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(body))


def headings(body: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html(body))


def payloads() -> list[str]:
    escapes = {r"\n": "\n", r"\x00": "\x00", r"\u202e": "\u202e"}
    found = (HERE / "payloads.txt").read_text(encoding="utf-8").splitlines()
    for shown, real in escapes.items():
        found = [line.replace(shown, real) for line in found]
    return found


@pytest.mark.parametrize("shape", ["spans", "answers", "several_labels", "numbers"])
def test_C135_every_section_and_no_placeholder(tmp_path: Path, runs: ModuleType, shape: str) -> None:
    _, body = parts(card(getattr(runs, shape)(tmp_path / shape)))
    assert headings(body) == SECTIONS
    assert "information needed" not in body.lower()
    for section in re.split(r"^## ", body, flags=re.M)[1:]:
        assert len(section.split("\n", 1)[1].strip()) > 10, section


TAGS = {
    "sequence-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "summarization": "summarization",
    "translation": "translation",
    "semantic-search": "sentence-similarity",
}


@pytest.mark.parametrize(("task", "tag"), TAGS.items())
def test_C137_the_pipeline_tag_of_every_task(tmp_path: Path, runs: ModuleType, task: str, tag: str) -> None:
    data, _ = parts(card(runs.write_run(tmp_path / "run", task, [], {"f1": runs.score(0.5)}, "f1")))
    assert data["pipeline_tag"] == tag
    assert data["model-index"][0]["results"][0]["task"]["type"] == tag


def test_C135_metadata_and_results_table(tmp_path: Path, runs: ModuleType) -> None:
    data, body = parts(card(runs.spans(tmp_path / "contracts", recipe={"train": "/home/me/data/contracts.jsonl"})))
    assert data["library_name"] == "transformers"
    assert (data["base_model"], data["license"], data["language"]) == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0", ["en"])
    assert data["metrics"] == ["f1", "precision", "recall", "accuracy"]
    result = data["model-index"][0]["results"][0]
    assert result["dataset"] == {"type": "custom", "name": "contracts.jsonl", "split": "test"}
    assert {"type": "f1", "value": 0.912, "name": "F1"} in result["metrics"]
    rows = re.findall(r"<tr>\s*<td>(.*?)</td>", html(body.split("## Evaluation results")[1]))
    assert rows == ["F1", "Precision", "Recall", "Strict F1", "Accuracy"]
    assert "/home/me" not in body


def test_C135_the_hub_library_reads_the_card(tmp_path: Path, runs: ModuleType) -> None:
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard.load(card(runs.classification(tmp_path / "tickets", MOODS))).data
    assert found.pipeline_tag == "text-classification"
    assert {result.metric_name: result.metric_value for result in found.eval_results} == {"Macro-F1": 0.842, "Accuracy": 0.853}


def test_hyper_parameters_and_time_are_tables(tmp_path: Path, runs: ModuleType) -> None:
    _, body = parts(card(runs.classification(tmp_path / "tickets", MOODS)))
    shown = html(body.split("## Training procedure")[1].split("## Variables")[0])
    cells = re.findall(r"<td[^>]*>(.*?)</td>", shown)
    table = dict(zip(cells[::2], cells[1::2]))
    assert table["learning_rate"] == "0.0005" and table["training"] == "74 s" and table["epochs"] == "4"


def test_the_example_is_python_and_names_the_repository(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.classification(tmp_path / "tickets", MOODS)
    _, body = parts(card(folder, "me/tickets"))
    code = re.findall(r"```python\n(.*?)\n```", body, re.S)[0]
    ast.parse(code)
    assert '"me/tickets"' in code
    _, body = parts(card(folder))
    assert '"tickets/model"' in body


def test_weakest_labels_and_what_was_dropped_are_named(tmp_path: Path, runs: ModuleType) -> None:
    _, body = parts(card(runs.classification(tmp_path / "tickets", MOODS)))
    limits = body.split("## Limitations and bias")[1].split("## Training data")[0]
    assert "grateful (F1 0.76, 35 in the data)" in limits
    assert "3 rows of 1,210 could not be used" in limits


def test_hub_sources_local_models_and_scratch(tmp_path: Path, runs: ModuleType) -> None:
    data, _ = parts(card(runs.spans(tmp_path / "a", recipe={"train": "hf:tner/btc:default", "model": "distilbert/distilbert-base-cased"})))
    assert data["datasets"] == ["tner/btc"] and data["base_model"] == "distilbert/distilbert-base-cased" and "license" not in data
    data, body = parts(card(runs.spans(tmp_path / "b", recipe={"model": "/home/me/models/base"})))
    assert "base_model" not in data and "/home/me" not in body
    _, body = parts(card(runs.spans(tmp_path / "c", recipe={"model": "scratch"})))
    assert "trained from scratch" in body


@pytest.mark.parametrize("missing", ["metrics.json", "recipe.yaml", "log.jsonl", "predictions.jsonl"])
def test_a_missing_part_leaves_the_rest(tmp_path: Path, runs: ModuleType, missing: str) -> None:
    folder = runs.spans(tmp_path / "run")
    (folder / missing).unlink()
    _, body = parts(card(folder))
    assert headings(body) == SECTIONS


def test_C136_versions_and_notes_come_from_any_engine(tmp_path: Path, runs: ModuleType) -> None:
    folder = runs.spans(tmp_path / "run", recipe={"engine": "trainer"})
    record = {"fingerprint": {"versions": {"torch": "2.13.0", "transformers": "5.23.0"}}, "notes": ["splits: made by content"]}
    (folder / "run.json").write_text(json.dumps(record))
    _, body = parts(card(folder))
    assert "- torch 2.13.0" in body and "splits: made by content" in body and "| engine | trainer |" in body


def test_X7_sixty_payloads_stay_text(tmp_path: Path, runs: ModuleType) -> None:
    for i, text in enumerate(payloads()):
        recipe = {"model": text, "train": text, "columns": {text: text}, text: text}
        said = {"signature": text, "reload_check": text, "notes": [text], "split": text}
        line = {"id": "1", "row": 1, "prediction": {"label": text, "error": text}, "reference": text, "scores": {}}
        metrics = {text: runs.score(0.5), "macro_f1": runs.score(0.4)}
        base = (text, {"macro_f1": 0.1})
        folder = runs.write_run(tmp_path / str(i), "sequence-classification", [line], metrics, "macro_f1", base, recipe=recipe, **said)
        data, body = parts(card(folder, "me/" + text if i % 2 else None))
        assert set(data) <= {
            *("library_name", "pipeline_tag", "base_model", "language", "license", "tags", "datasets", "metrics"),
            "model-index",
        }
        assert "license" not in data, text
        shown = html(body)
        tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([a-zA-Z!][\w-]*)", shown)}
        assert tags <= {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong", "pre", "code"}, (text, tags)
        assert not re.search(r"https?://|www\.", body), text
        assert headings(body) == SECTIONS, text


def test_escape_leaves_plain_words_and_disarms_the_rest() -> None:
    assert escape("Macro-F1 0.84, 1,234 rows (95 %)") == r"Macro-F1 0.84, 1,234 rows \(95 %\)"
    for text in ("1. one", "- one", "# one", "* one", "=== x", "+ y", "a | b", "[a](b)", "<b>", "&lt;", "`c`", "_d_", "~~e~~", "\\*f*"):
        shown = re.sub(r"</?p>|\n", "", html(escape(text)))
        assert shown == text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), text


def test_a_fence_is_longer_than_what_it_holds() -> None:
    block = str(fenced("a\n````\n<script>\n"))
    assert block.startswith("`````") and html(block).count("<pre>") == 1 and "<script>" not in html(block)
