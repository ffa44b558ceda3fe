"""How much of what is planted does `oneloop check` find, and how fast is it?

    python bench/check_planted.py [FOLDER]

FOLDER holds the sets named in SETS (default ../shared/data). Into each, 1 % faults are planted: exact leaks (with changed case,
spaces or punctuation), near duplicates (one typo, one word dropped, added, replaced or swapped), label misspellings. Recall counts
planted rows that are named. Precision counts the rows named in the planted copy and not in the original: how many were
planted. The last part times 100,000 rows and prints the peak memory.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from oneloop.diagnose.check import check

Rows = list[dict[str, str]]
SHARE = 0.01
TARGETS = {"exact": 0.99, "near": 0.90, "typo": 0.95}
SETS = {
    "banking77": ("bench/banking77", "text", "category"),
    "banking77-small": ("quick/seq_cls/banking77", "text", "label"),
    "snips": ("quick/seq_cls/snips_intents", "text", "label"),
}
SETS_BY_LINE = {"tatoeba": "bench/tatoeba_en_fr/fra.txt"}


def loose_copy(text: str, rng: random.Random) -> str:
    """The same text with another case, punctuation or spacing, or as it is."""
    how = rng.randrange(6)
    changed = {0: text.upper(), 1: text.lower(), 2: f"  {text} ", 3: text.replace(" ", "  "), 4: text.rstrip(".?!") + "!!", 5: text}
    return changed[how]


def near_copy(text: str, rng: random.Random, vocabulary: list[str]) -> str:
    """The text with one slip or one word changed."""
    words = text.split()
    place, how = rng.randrange(len(words)), rng.randrange(5)
    if how == 0:
        at = rng.randrange(len(text))
        return text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
    if how == 1:
        return " ".join(words[:place] + words[place + 1 :])
    if how == 2:
        return " ".join([*words[:place], rng.choice(vocabulary), *words[place:]])
    if how == 3:
        return " ".join([*words[:place], rng.choice(vocabulary), *words[place + 1 :]])
    place = min(place, len(words) - 2)
    return " ".join([*words[:place], words[place + 1], words[place], *words[place + 2 :]])


def misspell(label: str, rng: random.Random) -> str:
    """The label with a slip: case, a space at the end, a letter dropped, doubled, changed or swapped with the next."""
    at = rng.randrange(1, len(label) - 1)
    ways: list[Callable[[], str]] = [
        label.upper if not label.isupper() else label.lower,
        lambda: label + " ",
        lambda: label[:at] + label[at + 1 :],
        lambda: label[:at] + label[at] + label[at:],
        lambda: label[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + label[at + 1 :],
        lambda: label[:at] + label[at + 1] + label[at] + label[at + 2 :],
    ]
    changed = rng.choice(ways)()
    return changed if changed != label else label + " "


def read(path: Path) -> Rows:
    """The rows of a csv file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: Rows) -> None:
    """Write rows as csv."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def named(folder: Path, kinds: dict[str, str]) -> dict[str, set[tuple[str, int]]]:
    """The rows named under each of the kinds of finding."""
    report = check(folder)
    found: dict[str, set[tuple[str, int]]] = {key: set() for key in kinds}
    for key, kind in kinds.items():
        for finding in report.findings:
            if finding.kind == kind and finding.numbers.get("source", "train") == "train":
                found[key] |= {(Path(file).name, row) for file, row in finding.rows}
    return found


def plant(train: Rows, test: Rows, text: str, label: str, rng: random.Random) -> tuple[Rows, Rows, dict[str, set[tuple[str, int]]]]:
    """Copies of the rows with faults, and where each was planted as (file, row)."""
    train, test = [dict(row) for row in train], [dict(row) for row in test]
    vocabulary = [word for row in train for word in row[text].split()]
    count = max(20, int(SHARE * len(train)))
    long_enough = [row for row in train if len(row[text].split()) >= 5]
    planted: dict[str, set[tuple[str, int]]] = {"exact": set(), "near": set(), "typo": set()}
    for row in rng.sample(train, count):
        test.append({**row, text: loose_copy(row[text], rng)})
        planted["exact"].add(("test.csv", len(test)))
    for row in rng.sample(long_enough, min(count, len(long_enough))):
        test.append({**row, text: near_copy(row[text], rng, vocabulary)})
        planted["near"].add(("test.csv", len(test)))
    for i in rng.sample(range(len(train)), count) if label else ():
        train[i][label] = misspell(train[i][label], rng)
        planted["typo"].add(("train.csv", i + 1))
    return train, test, planted


def measure(name: str, train: Rows, test: Rows, text: str, label: str) -> list[bool]:
    """Print recall and precision on one set; whether each target is met."""
    kinds = {"exact": "leaked-rows", "near": "near-leaked-rows"} | ({"typo": "label-typos"} if label else {})
    rng = random.Random(name)
    with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
        write(Path(before, "train.csv"), train)
        write(Path(before, "test.csv"), test)
        bad_train, bad_test, planted = plant(train, test, text, label, rng)
        write(Path(after, "train.csv"), bad_train)
        write(Path(after, "test.csv"), bad_test)
        old, new = named(Path(before), kinds), named(Path(after), kinds)
    met = []
    for kind in kinds:
        either = new["exact"] | new["near"] if kind == "near" else new[kind]  # a near copy that lost only a comma is an exact one
        recall = len(planted[kind] & either) / len(planted[kind])
        fresh = new[kind] - old[kind]
        every = planted[kind] | (planted["near"] if kind == "exact" else planted["exact"] if kind == "near" else set())
        precision = len(fresh & every) / max(1, len(fresh))
        met.append(recall >= TARGETS[kind] and precision >= 0.9)
        share = f"{len(planted[kind])} planted, recall {recall:.4f} (≥ {TARGETS[kind]}), precision {precision:.4f} (≥ 0.9)"
        print(f"{name:16} {kind:6} {share} {'ok' if met[-1] else 'MISSED'}")
    return met


def speed(texts: list[str], rows: int = 100_000) -> bool:
    """Time `check` on `rows` labelled rows; 50 classes, a 90/10 split."""
    rng = random.Random(1)
    labels = [f"class {chr(97 + i % 26)}{chr(97 + i // 26)} {i * 7 % 13}" for i in range(50)]
    made: Rows = []
    for i in range(rows):
        one, two = texts[i % len(texts)], rng.choice(texts)
        made.append({"text": f"{one} {two}", "label": labels[hash_of(one) % 50]})
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "train.csv"), made[: rows * 9 // 10])
        write(Path(folder, "test.csv"), made[rows * 9 // 10 :])
        start, busy = time.perf_counter(), time.process_time()
        report = check(folder)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ok = seconds <= 60 and peak <= 1024
    took = f"{rows:,} rows: {seconds:.1f} s (≤ 60; {busy:.1f} s of processor time), peak {peak:.0f} MB (≤ 1024)"
    print(f"{took}, {len(report.findings)} findings {'ok' if ok else 'MISSED'}")
    return ok


def hash_of(text: str) -> int:
    """A small stable number from a text."""
    return sum(map(ord, text))


def main() -> int:
    """Run all parts; 1 when a target is missed."""
    base = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "../shared/data")
    pairs = [line.split("\t")[:2] for line in (base / SETS_BY_LINE["tatoeba"]).read_text("utf-8").splitlines()]
    met = [speed([line for line, _ in pairs if len(line) > 30])]
    for name, (folder, text, label) in SETS.items():
        met += measure(name, read(base / folder / "train.csv"), read(base / folder / "test.csv"), text, label)
    rng = random.Random(0)
    several = rng.sample([pair for pair in dict(pairs).items() if len(pair[0].split()) >= 6], 20_000)
    made = [{"english": one, "french": two} for one, two in several]
    met += measure("tatoeba", made[:18_000], made[18_000:], "english", "")
    print(json.dumps({"met": sum(met), "of": len(met)}))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
