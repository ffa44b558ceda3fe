"""Train the statement model on the tuning bank and write oneloop/diagnose/statements.json.

    python bench/diagnose/train.py            train and write
    python bench/diagnose/train.py --folds 8  cross-validated accuracy only, nothing written

Two models are written: over the words, and over the words and the statement's vector (offline encoder). The clues of the
task files were written beside the first statements of the bank, so on these they look better than they are: every
statement also stands in the training set with its clues struck out.
"""

from __future__ import annotations

import argparse
import base64
import json
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from oneloop.diagnose import statement as reader
from oneloop.diagnose.features import features, tokens, values
from oneloop.diagnose.vectors import KEPT, WIDTH
from oneloop.tasks import TASKS

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "oneloop" / "diagnose" / "statements.json"
CLASSES = [*TASKS, reader.NONE, reader.AMBIGUOUS]
SEEN = 2  # statements a feature must occur in to be kept
INVERSE_PENALTY = 1.0  # of the logistic regression (scikit-learn's C)


def load(path: Path) -> list[dict[str, Any]]:
    """The statements of a bank."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


class Design:
    """The three blocks of the design matrix for a list of statements: words, clues, vectors."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        found = [values(features(tokens(row["statement"]))) for row in rows]
        counts = Counter(name for one in found for name in one)
        self.names = sorted(name for name, count in counts.items() if count >= SEEN)
        place = {name: i for i, name in enumerate(self.names)}
        words = sparse.lil_matrix((len(rows), len(self.names)))
        for i, one in enumerate(found):
            for name, value in one.items():
                if name in place:
                    words[i, place[name]] = value
        self.words = words.tocsr()
        clues = [reader.clue_scores(row["statement"]) for row in rows]
        self.clues = np.array([[one[name][0] for name in CLASSES[:-1]] for one in clues]) * reader.CLUE_SCALE
        nothing = np.zeros(len(KEPT) * WIDTH, np.float32)  # other languages than English have no vector
        vectors = [reader.statement_vector(row["statement"]) for row in rows]
        self.vectors = np.stack([nothing if one is None else one for one in vectors]) * reader.VECTOR_SCALE

    def matrix(self, picked: np.ndarray, vector: bool, clues: bool = True) -> sparse.csr_matrix:
        """The rows `picked`; clues=False strikes the clues out."""
        blocks = [self.words[picked], sparse.csr_matrix(self.clues[picked] * clues)]
        if vector:
            blocks.append(sparse.csr_matrix(self.vectors[picked]))
        return sparse.hstack(blocks).tocsr()


def fit(design: Design, rows: list[dict[str, Any]], picked: np.ndarray, vector: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weights (features, classes) and what is added, (classes,): the tasks against each other, and ambiguous against plain."""
    features_in = sparse.vstack([design.matrix(picked, vector), design.matrix(picked, vector, clues=False)]).tocsr()
    twice = [rows[i] for i in picked] * 2
    where, names, shares = [], [], []
    for position, row in enumerate(twice):
        wanted = row.get("tasks") or [row["task"] or reader.NONE]
        for name in wanted:
            where.append(position)
            names.append(CLASSES.index(name))
            shares.append((0.5 if row["ambiguous"] else 1.0) / len(wanted))
    tasks = LogisticRegression(C=INVERSE_PENALTY, max_iter=400).fit(features_in[where], names, sample_weight=shares)
    unclear = np.array([row["ambiguous"] for row in twice])
    asks = LogisticRegression(C=INVERSE_PENALTY, max_iter=400).fit(features_in, unclear, sample_weight=np.where(unclear, 2.0, 1.0))
    return np.vstack([tasks.coef_, asks.coef_]).T, np.concatenate([tasks.intercept_, asks.intercept_])


def folds(design: Design, rows: list[dict[str, Any]], count: int, vector: bool) -> None:
    """Print cross-validated top-1 and top-2 accuracy, and how well none and ambiguous are told."""
    fold = np.random.default_rng(0).integers(0, count, len(rows))
    logits = np.zeros((len(rows), len(CLASSES)))
    for number in range(count):
        test = np.flatnonzero(fold == number)
        coefficients, bias = fit(design, rows, np.flatnonzero(fold != number), vector)
        logits[test] = design.matrix(test, vector) @ coefficients + bias
    order = logits[:, :-1].argsort(1)[:, ::-1]
    plain = [i for i, row in enumerate(rows) if not row["ambiguous"]]
    wanted = np.array([CLASSES.index(rows[i]["task"] or reader.NONE) for i in plain])
    top1 = order[plain, 0] == wanted
    top2 = (order[plain, :2] == wanted[:, None]).any(1)
    unclear = np.array([row["ambiguous"] for row in rows])
    print(f"vector={vector} top-1 {top1.mean():.3f} top-2 {top2.mean():.3f}")
    for number, name in enumerate(CLASSES[:-1]):
        print(f"  {name:<26}{top1[wanted == number].mean():.3f} of {np.sum(wanted == number)}")
    for threshold in (-1.0, -0.5, 0.0, 0.5, 1.0):
        asked = logits[:, -1] > threshold
        print(f"  ambiguous above {threshold:+.1f}: asked {asked[unclear].mean():.3f}, false alarms {asked[~unclear].mean():.3f}")


def pack(weights: np.ndarray) -> dict[str, Any]:
    """Whole numbers of one byte with one scale for each class, compressed."""
    scale = np.abs(weights).max(0) / 127 + 1e-12
    small = np.rint(weights / scale).astype(np.int8)
    return {"shape": list(small.shape), "scale": [float(f"{x:.6g}") for x in np.atleast_1d(scale)], "data": squeezed(small.tobytes())}


def squeezed(data: bytes) -> str:
    """Compressed bytes as text."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def write(design: Design, rows: list[dict[str, Any]]) -> None:
    """Train both models on everything and write them."""
    document: dict[str, Any] = {"classes": CLASSES, "names": squeezed("\n".join(design.names).encode())}
    every = np.arange(len(rows))
    for which, vector in (("words_only", False), ("with_vector", True)):
        coefficients, bias = fit(design, rows, every, vector)
        words, clues = len(design.names), len(CLASSES) - 1
        parts = {"words": coefficients[:words], "clues": coefficients[words : words + clues], "vector": coefficients[words + clues :]}
        document[which] = {name: pack(block) if len(block) else pack(np.zeros((1, len(CLASSES)))) for name, block in parts.items()}
        document[which]["bias"] = pack(bias[None, :])
    OUT.write_text(json.dumps(document) + "\n", "utf-8")
    print(f"{OUT.name}: {OUT.stat().st_size // 1024} KiB, {len(design.names)} features, {len(rows)} statements")


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", type=Path, default=HERE / "tuning.jsonl")
    parser.add_argument("--folds", type=int, default=0)
    arguments = parser.parse_args()
    rows = load(arguments.bank)
    design = Design(rows)
    if arguments.folds:
        for vector in (False, True):
            folds(design, rows, arguments.folds, vector)
    else:
        write(design, rows)


if __name__ == "__main__":
    main()
