"""report.html: one self-contained page that a person who did not train the model can read.

In:  a run folder's files alone (`folder.py`); no model is loaded.
Out: RUN/report.html, no script, no network, every text escaped, committed in one piece.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from oneloop.commit import verify_run, write_file
from oneloop.ship import breakdown, charts, curves, words
from oneloop.ship.folder import RunFolder, open_run
from oneloop.ship.worst_rows import worst_row

READ = ("metrics.json", "recipe.yaml", "log.jsonl", "predictions.jsonl", "splits.json")
MANY_LABELS = 16  # more labels than this are listed by their worst confusions; a heat map would not be readable
SHOWN_ROWS = 20  # rows of a table of labels or confusions
CURVE_POINTS = 200
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SETTINGS_FIRST = ("task", "model", "train", "validation", "test", "columns", "seed", "epochs", "batch_rows", "learning_rate")


def visible(text: Any) -> str:
    """Text for a page: control, direction-override and surrogate characters become a visible replacement."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


@cache
def environment() -> Environment:
    """The template environment: escaping on, undefined names are errors."""
    made = Environment(
        loader=PackageLoader("oneloop.ship"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
    made.filters.update(number=words.number, count=words.count, duration=words.duration)
    return made


def report(run: str | Path) -> Path:
    """Write RUN/report.html from the files of a run folder and return its path. RunError when there is no run, or when a file of
    a finished one is not as the run wrote it."""
    verify_run(run, READ)
    path = Path(run) / "report.html"
    page = words.redact(render(open_run(run)))
    write_file(path, page.encode("utf-8", "replace"))
    return path


def render(run: RunFolder) -> str:
    """The page as text."""
    found = breakdown.break_down(run.predictions(), run.primary)
    return (
        environment()
        .get_template("report.html")
        .render(
            run=run,
            name=run.path.resolve().name,
            task=words.title(run.task or "unknown task"),
            headline=headline(run),
            verdict=verdict(run),
            does=str(run.about("does")).strip().rstrip("."),
            limits=run.about("metric_limits"),
            metrics=metric_rows(run),
            learning=learning(run),
            found=found,
            detail=detail(found),
            worst=[worst_row(line, run.primary) for line in found.worst],
            warnings=warnings(run, found),
            data=data_rows(run),
            splits=run.split_sizes(),
            label_counts=label_counts(run, found),
            time=time_rows(run),
            settings=settings(run.recipe),
        )
    )


# ---- the score ----------------------------------------------------------------------------------


def headline(run: RunFolder) -> dict[str, Any]:
    """The primary score, baseline and model before training, rounded alike, with their bars."""
    key, shown = run.primary, run.metric
    own = words.score(run.part("metrics").get(key))
    base = words.score(run.part("baseline", "metrics").get(key))
    before = words.score(run.part("before", "metrics").get(key))
    digits = words.decimals([own.value, own.low, own.high, base.value, before.value], shown.unit)
    name = str(run.part("baseline").get("name") or "baseline")
    rows = [
        {"name": "this model", "css": "own", "value": own.value, "low": own.low, "high": own.high},
        {"name": "before training", "css": "before", "value": before.value, "low": before.low, "high": before.high},
        {"name": f"baseline: {name}", "css": "base", "value": base.value, "low": base.low, "high": base.high},
    ]
    known = [row | {"shown": words.number(words.finite(row["value"]), digits)} for row in rows if row["value"] is not None]
    highest = max([value for row in known for value in (row["value"], row["high"]) if isinstance(value, float)], default=0.0)
    positive = all(isinstance(row["value"], float) and row["value"] >= 0 for row in known)
    top = shown.unit if shown.unit and shown.unit >= highest else highest * 1.05
    return {
        "metric": shown,
        "own": words.number(own.value, digits) if own.value is not None else None,
        "interval": words.interval(own, digits),
        "baseline": words.number(base.value, digits) if base.value is not None else None,
        "baseline_name": name,
        "before": words.number(before.value, digits) if before.value is not None else None,
        "bars": charts.bars(known, top) if positive else None,
        "top": words.number(shown.unit, 0) if shown.unit else None,
    }


def verdict(run: RunFolder) -> dict[str, str]:
    """One sentence on whether the score means anything: against the baseline, and on which rows it was taken."""
    key = compared(run)
    own, base = (words.score(part.get(key)) for part in (run.part("metrics"), run.part("baseline", "metrics")))
    up = words.metric(key).up
    if own.value is None:
        return {"kind": "none", "text": "No score is known for this run."}
    if base.value is None:
        return {"kind": "plain", "text": "No baseline was computed, so the score stands alone."}
    better = own.value > base.value if up else own.value < base.value
    end = own.low if up else own.high
    clear = end is not None and (end > base.value if up else end < base.value)
    name = run.part("baseline").get("name") or "the baseline"
    by = "" if key == run.primary else f", by {words.metric(key).name}: it has no {run.metric.name} of its own"
    if not better:
        return {"kind": "bad", "text": f"The model is not better than the naive method “{name}”{by}. Do not use it as it is."}
    if not clear:
        text = f"The model may be no better than the naive method “{name}”{by}; the interval does not exclude it."
        return {"kind": "unsure", "text": text}
    return {"kind": "good", "text": f"The model is clearly better than the naive method “{name}”{by}."}


def compared(run: RunFolder) -> str:
    """The metric by which the model and the baseline are compared: the primary one, or the first other that both have (a method
    that always says the same number has no correlation)."""
    base = run.part("baseline", "metrics")
    known = [key for key in run.part("metrics") if words.score(base.get(key)).value is not None]
    return run.primary if run.primary in known or not known else known[0]


def metric_rows(run: RunFolder) -> list[dict[str, Any]]:
    """One row per metric: name, meaning, value, interval, baseline, before; the primary one first."""
    own, base, before = run.part("metrics"), run.part("baseline", "metrics"), run.part("before", "metrics")
    keys = sorted({**own, **base, **before}, key=lambda key: (key != run.primary, list(own).index(key) if key in own else len(own)))
    rows = []
    for key in keys:
        scores = [words.score(part.get(key)) for part in (own, base, before)]
        digits = max(3 if words.metric(key).unit == 1.0 else 2, words.decimals([found.value for found in scores], words.metric(key).unit))
        shown = [words.number(found.value, digits) if found.value is not None else "–" for found in scores]
        ends = words.interval(scores[0], digits).removeprefix("95 % interval ") or "–"
        rows.append({"key": key, "metric": words.metric(key), "own": shown[0], "interval": ends, "baseline": shown[1], "before": shown[2]})
    return rows


# ---- learning curves ----------------------------------------------------------------------------


def learning(run: RunFolder) -> dict[str, Any]:
    """The two charts (loss; validation score) and the reading of them."""
    found = curves.curves(run.log)
    key = run.primary if run.primary in found.validation else next((name for name in found.validation if name != "loss"), "")
    new_head = not run.part("before", "metrics")
    reading = curves.read_curves(found, key, words.metric(key).up, new_head)
    loss = charts.lines(
        [
            ("training loss", "train", curves.bins(found.train, CURVE_POINTS)),
            ("validation loss", "validation", curves.bins(found.validation.get("loss", []), CURVE_POINTS)),
        ]
    )
    score = charts.lines([(f"validation {words.metric(key).name}", "score", curves.bins(found.validation.get(key, []), CURVE_POINTS))])
    return {"reading": reading, "loss": loss, "score": score if key != "loss" else None, "score_name": words.metric(key).name}


# ---- where it is wrong --------------------------------------------------------------------------


def detail(found: breakdown.Breakdown) -> dict[str, Any]:
    """The tables and chart that fit the kind of prediction; {"kind": ""} where there are none."""
    part = found.detail
    if isinstance(part, breakdown.Labels):
        names = sorted(part.per_label, key=lambda name: (-part.per_label[name].gold, name))
        heat = charts.heat_map(names, part.confused) if part.confused and len(names) <= MANY_LABELS else None
        table = _counted(part.per_label)
        return {"kind": part.kind, "heat": heat, "mistakes": part.mistakes()[:SHOWN_ROWS], "table": table, "labels": len(names)}
    if isinstance(part, breakdown.Spans):
        why = [(text, part.mistakes[name]) for name, text in MISTAKES.items() if part.mistakes[name]] if part.marked else []
        kind = "spans" if part.marked else "tags"
        return {"kind": kind, "table": _counted(part.table()), "why": why, "mistakes": part.mixed_up()[:SHOWN_ROWS]}
    if isinstance(part, breakdown.Answers):
        names = [words.metric(name).name for name in part.names]
        return {"kind": "answers", "tables": part.tables(), "names": names, "silent": part.silent, "made_up": part.made_up}
    if isinstance(part, breakdown.Values):
        return {"kind": "value", "scatter": charts.scatter(part.points), "lean": part.lean, "kept": len(part.points), "seen": part.seen}
    return {"kind": ""}


MISTAKES = {
    "missed": "not found at all",
    "invented": "marked where there is nothing",
    "borders": "right type, wrong first or last word",
    "type": "right words, wrong type",
    "both": "wrong words and wrong type",
}


def _counted(table: dict[str, breakdown.Counts]) -> dict[str, Any]:
    """Rows of a per-label table: all of a short one, the lowest F1 first of a long one."""
    rows = [{"name": name, "counts": counts} for name, counts in table.items()]
    long = len(rows) > 2 * SHOWN_ROWS
    rows.sort(key=lambda row: (row["counts"].f1, row["name"]) if long else (-row["counts"].gold, row["name"]))  # type: ignore[attr-defined]
    return {"rows": rows[:SHOWN_ROWS] if long else rows, "all": len(rows), "long": long}


# ---- data, time, settings -----------------------------------------------------------------------

DATA_WORDS = {
    "read": "rows read",
    "dropped": "rows dropped",
    "tokens": "tokens",
    "tokens_cut": "tokens cut off",
    "windows": "windows (long rows are read in overlapping parts)",
    "train_tokens": "training tokens",
    "train_tokens_cut": "training tokens cut off",
    "train_windows": "training windows",
}
TIME_WORDS = {
    "train_s": "training",
    "eval_s": "evaluation",
    "train_tokens_per_s": "tokens a second in training",
    "train_rows_per_s": "rows a second in training",
    "train_steps": "optimizer steps",
    "precision": "number format",
}


def warnings(run: RunFolder, found: breakdown.Breakdown) -> list[str]:
    """What a reader must know before trusting the score."""
    said = []
    split, data = str(run.metrics.get("split") or ""), run.part("data")
    if split == "validation":
        said.append("The score was taken on the validation rows, which also chose the model, so it is too good.")
    elif split and split != "test":
        said.append(f"The score was taken on the {split} rows, not on rows the training never touched.")
    check = run.metrics.get("reload_check")
    if check not in (None, "identical") and not str(check).startswith("within tolerance"):
        said.append(f"Reload check: {check}.")
    if left := run.part("without_leaked"):
        said.append(leaked(run, left))
    if words.finite(data.get("tokens_cut")):
        of = words.count(data.get("tokens", "unknown"))
        said.append(f"{words.count(data['tokens_cut'], 'token')} of {of} were cut off and never seen.")
    if words.finite(data.get("dropped")):
        of = words.count(data.get("read", "unknown"))
        said.append(f"{words.count(data['dropped'], 'row')} of {of} could not be used and were dropped.")
    if found.errors:
        said.append(f"{words.count(found.errors, 'row')} got no prediction because of an error.")
    rows = words.finite(run.metrics.get("rows"))
    if rows is not None and 0 < rows < 100:
        said.append(f"Only {words.count(rows, 'row')} were scored, so the score can be far off; mind the interval.")
    return said + run.unread


def leaked(run: RunFolder, left: dict[str, Any]) -> str:
    """How many scored rows training saw too, and the score with and without them."""
    own, other = (words.score(part.get(run.primary)) for part in (run.part("metrics"), run.part("without_leaked", "metrics")))
    digits = words.decimals([own.value, other.value], run.metric.unit)
    of = f"{words.count(left.get('leaked', 'unknown'), 'scored row')} also found in the training data"
    if other.value is None or own.value is None:
        return f"{of}; no other row is left to score."
    name, both = run.metric.name, [words.number(found.value, digits) for found in (own, other)]
    between = words.interval(other, digits)
    interval = f" ({between})" if between else ""
    return f"{of}: {name} is {both[0]} with them and {both[1]}{interval} without, on {words.count(left.get('rows', 'unknown'), 'row')}."


def data_rows(run: RunFolder) -> list[tuple[str, str]]:
    """(what, how many) from metrics.data, the known counts first."""
    data = run.part("data")
    keys = sorted(data, key=lambda key: list(DATA_WORDS).index(key) if key in DATA_WORDS else len(DATA_WORDS))
    return [(DATA_WORDS.get(key, key.replace("_", " ")), _plain(data[key])) for key in keys if key not in ("files", "rows")]


def time_rows(run: RunFolder) -> list[tuple[str, str]]:
    """(what, how long) from metrics.time."""
    return [
        (TIME_WORDS.get(key, key), words.duration(value) if key.endswith("_s") and "_per_" not in key else _plain(value))
        for key, value in run.part("time").items()
    ]


def label_counts(run: RunFolder, found: breakdown.Breakdown) -> dict[str, Any] | None:
    """Rows per label and split: from splits.json where it counts them, else the scored rows'."""
    counts = {name: part for name, part in (run.splits.get("labels") or {}).items() if isinstance(part, dict)}
    if not counts:
        table = breakdown.counted(found)
        counts = {"scored rows": {name: part.gold for name, part in table.items()}} if table else {}
    if not counts:
        return None
    first = next(iter(counts.values()))
    names = sorted({name for part in counts.values() for name in part}, key=lambda name: (-(words.finite(first.get(name)) or 0), name))
    rows = [(name, [_plain(part.get(name, 0)) for part in counts.values()]) for name in names]
    return {"splits": list(counts), "rows": rows[: 3 * SHOWN_ROWS], "all": len(rows)}


def settings(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, value) of the recipe, the telling ones first, nulls left out and secrets blotted out."""
    keys = [*(key for key in SETTINGS_FIRST if key in recipe), *(key for key in recipe if key not in SETTINGS_FIRST)]
    told = [key for key in keys if recipe[key] not in (None, {}, [])]
    return [(str(key), "[redacted]" if words.SECRET_NAME.search(str(key)) else _plain(recipe[key])) for key in told]


def _plain(value: Any) -> str:
    """A cell of a table of counts or settings."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(entry)}" for key, entry in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(entry) for entry in value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    if isinstance(value, float) and abs(value) >= 1e-3:
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:,.4g}"
    return str(value)
