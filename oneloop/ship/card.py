"""README.md of a run: the model card, with what is known and nothing else.

In:  a run folder's files alone (`folder.py`); no model is loaded.
Out: RUN/README.md: metadata the Hub reads (written by a YAML dumper) and the sections a reader looks for, all user text escaped.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from oneloop.commit import write_file
from oneloop.ship import breakdown, words
from oneloop.ship.folder import RunFolder, open_run
from oneloop.ship.report import data_rows, headline, metric_rows, settings, time_rows, verdict, visible, warnings

# the Hub's pipeline tags where they are not the task's own name (huggingface.co/tasks)
PIPELINE_TAGS = {
    "sequence-classification": "text-classification",
    "masked-lm": "fill-mask",
    "causal-lm": "text-generation",
    "semantic-search": "sentence-similarity",
}
HUB_METRICS = {
    "macro_f1": "f1",
    "micro_f1": "f1",
    "f1_strict": "f1",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "rougeLsum": "rouge",
}
# the models that the recipe calls by a short name: (Hub id, licence, languages, what it cannot do)
NAMED_MODELS = {
    "minilm": (
        "sentence-transformers/all-MiniLM-L6-v2",
        "apache-2.0",
        ["en"],
        "The base model was trained on English and lower-cases its input, so it cannot tell Polish from polish.",
    ),
}
HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#!|~$^])")
FEW = 5  # labels or types that are named as the weakest


def escape(text: Any) -> str:
    """Text that Markdown and HTML show as it is: one line, no markup, no links, no table breaks."""
    line = re.sub(r"\s+", " ", visible(text))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = MARKDOWN.sub(r"\\\1", line)
    line = line.replace("://", "&#58;//").replace("@", "&#64;")
    line = re.sub(r"^([-+=])(?=\s|$|[-+=])", r"\\\1", re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line))
    return re.sub(r"(?i)\bwww\.", lambda match: match.group()[:-1] + "&#46;", line)


def fenced(text: str, language: str = "") -> Markup:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup("\n".join([f"{fence}{language}", visible(text).strip("\n"), fence]))


@cache
def environment() -> Environment:
    """The template environment of cards: every value goes through `escape`, which knows Markdown as well as HTML."""
    made = Environment(
        loader=PackageLoader("oneloop.ship"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else escape(value),
    )
    made.filters["count"] = words.count
    return made


def card(run: str | Path, repo_id: str | None = None) -> Path:
    """Write RUN/README.md and return its path. repo_id: the name others will load the model by; RUN/model when absent.
    RunError when there is no run."""
    path = Path(run) / "README.md"
    text = words.redact(render(open_run(run), repo_id))
    write_file(path, text.encode("utf-8", "replace"))
    return path


def render(run: RunFolder, repo_id: str | None = None) -> str:
    """The card as text."""
    name = repo_id or run.path.resolve().name
    found = breakdown.break_down(run.predictions(), run.primary, limit=1)
    metadata = yaml.safe_dump(front(run, name), allow_unicode=True, sort_keys=False, default_flow_style=False, width=10_000)
    body = (
        environment()
        .get_template("card.md")
        .render(
            name=name,
            run=run,
            does=sentence(run),
            base=base_model(run),
            headline=headline(run),
            verdict=verdict(run)["text"],
            metrics=metric_rows(run),
            labels=labels(found),
            weakest=weakest(found),
            warnings=warnings(run, found),
            files=files(run),
            data=data_rows(run),
            splits=run.split_sizes(),
            settings=[(key, value) for key, value in portable(settings(run.recipe)) if key not in LEFT_OUT],
            time=time_rows(run),
            versions=versions(run),
            notes=[text for _, text in portable([("", note) for note in run.notes])],
            example=fenced(example(run, repo_id), "python"),
            thresholds=thresholds(run),
        )
    )
    return f"---\n{metadata}---\n\n{body}"


LEFT_OUT = {"task", "model", "train", "validation", "test", "output", "force", "keep"}  # said elsewhere, or of no use to others


def front(run: RunFolder, name: str) -> dict[str, Any]:
    """The metadata block: what the Hub reads to file, link and rank the model."""
    hub, licence, languages, _ = base_model(run)
    sets = [source[3:].split(":")[0] for source in sources(run) if source.startswith("hf:")]
    scored = [row for row in metric_rows(run) if words.score(run.part("metrics").get(row["key"])).value is not None]
    own = run.part("metrics")
    values = [{"type": hub_metric(row["key"]), "value": words.score(own[row["key"]]).value, "name": row["metric"].name} for row in scored]
    tag = pipeline_tag(run)
    data = {
        "type": sets[0] if sets else "custom",
        "name": ", ".join(files(run)) or "the user's own",
        "split": str(run.metrics.get("split") or "test"),
    }
    result = {"task": {"type": tag, "name": words.title(run.task)}, "dataset": data, "metrics": values}
    found = {
        "library_name": "transformers",
        "pipeline_tag": tag,
        "base_model": hub,
        "language": languages,
        "license": licence,
        "tags": ["oneloop", run.task],
        "datasets": sets,
        "metrics": list(dict.fromkeys(hub_metric(row["key"]) for row in scored)),
        "model-index": [{"name": name, "results": [result]}] if values else None,
    }
    return {key: value for key, value in found.items() if value not in (None, "", [], [""])}


def pipeline_tag(run: RunFolder) -> str:
    """The Hub's name of the task; a task class may state its own."""
    return str(run.about("pipeline_tag") or PIPELINE_TAGS.get(run.task, run.task))


def hub_metric(key: str) -> str:
    """The Hub's name of a metric: `f1` for `macro_f1`, `recall` for `recall@10`."""
    return HUB_METRICS.get(key, key.partition("@")[0])


def base_model(run: RunFolder) -> tuple[str, str, list[str], str]:
    """(Hub id, licence, languages, limits) of the model training began from, each empty where it is not known."""
    name = str(run.recipe.get("model") or "")
    if name in NAMED_MODELS:
        return NAMED_MODELS[name]
    local = name.startswith((".", "/", "~")) or Path(name).exists()
    return (name if HUB_ID.fullmatch(name) and not local else "", "", [], "")


def sources(run: RunFolder) -> list[str]:
    """What the recipe names as training data."""
    train = run.recipe.get("train")
    return [str(item) for item in (train if isinstance(train, list) else [train] if train else [])]


def files(run: RunFolder) -> list[str]:
    """Names of the training files, without the folders of the machine they lay on."""
    return list(dict.fromkeys(source if source.startswith("hf:") else file_name(source) for source in sources(run)))


def file_name(path: str) -> str:
    """The last part of a path, of this system or of Windows."""
    return PureWindowsPath(path.rstrip("/\\")).name or path


def sentence(run: RunFolder) -> str:
    """What the task does, fit to follow `This model`."""
    text = str(run.about("does")).strip().rstrip(".")
    return text[:1].lower() + text[1:]


def portable(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Settings without folders of this machine: absolute paths keep only their last part."""
    return [(key, re.sub(r"(?<![\w.])(?:[A-Za-z]:\\|/|~/)[^,;:]+", lambda found: file_name(found.group()), value)) for key, value in rows]


def labels(found: breakdown.Breakdown) -> list[str]:
    """Label or type names that the predictions show, most frequent first."""
    table = breakdown.counted(found)
    return sorted(table, key=lambda name: (-table[name].gold, name))


def weakest(found: breakdown.Breakdown) -> list[dict[str, Any]]:
    """The labels or types with the lowest F1, at most half of them: name, F1 and rows."""
    table = breakdown.counted(found)
    order = sorted((name for name in table if table[name].gold and table[name].f1 < 1), key=lambda name: (table[name].f1, name))
    return [
        {"name": name, "f1": words.number(table[name].f1, 2), "n": table[name].gold} for name in order[: min(FEW, (len(table) + 1) // 2)]
    ]


def versions(run: RunFolder) -> list[tuple[str, str]]:
    """(package, version) of the run."""
    found = run.record.get("fingerprint", {})
    listed = found.get("versions") if isinstance(found, dict) else None
    own = [("oneloop", str(run.metrics["oneloop"]))] if run.metrics.get("oneloop") else []
    return own + [(str(name), str(value)) for name, value in (listed if isinstance(listed, dict) else {}).items() if name != "oneloop"]


def thresholds(run: RunFolder) -> str:
    """Decision thresholds the metrics state, in words; empty where there are none."""
    found = run.metrics.get("thresholds", run.recipe.get("threshold"))
    if isinstance(found, dict):
        return ", ".join(f"{name} {words.number(words.finite(value), 2)}" for name, value in found.items())
    return "" if words.finite(found) is None else words.number(words.finite(found), 2)


def example(run: RunFolder, repo_id: str | None) -> str:
    """Python that uses the model, as the task states it, and the line that loads it without oneloop."""
    name = repo_id or str(Path(run.path.name) / "model")
    safe = re.sub(r"[^\w./-]+", "-", name)
    text = run.task_class().snippet(safe)
    head = run.about("head")
    if not head or head in text:
        return text
    lines = [
        text,
        "",
        "# without oneloop",
        f"from transformers import {head}, AutoTokenizer",
        "",
        f'model = {head}.from_pretrained("{safe}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{safe}")',
    ]
    return "\n".join(lines)
