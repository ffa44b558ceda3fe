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
from oneloop.diagnose.vectors import KEPT, WIDTH, vector
from oneloop.tasks import TASKS

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "oneloop" / "diagnose" / "statements.json"
CLASSES = [*TASKS, reader.NONE, reader.AMBIGUOUS]
SEEN = 2  # statements a feature must occur in to be kept
LOOKS, VALUES = 8, 48  # the attending model: looks at the tokens, numbers kept of each
RATE, EPOCHS, BATCH, DROPOUT = 4e-3, 8, 64, 0.3  # its training; chosen by cross-validation
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
        self.states = [reader.statement_states(row["statement"]) for row in rows]  # other languages than English have none
        nothing = np.zeros(len(KEPT) * WIDTH, np.float32)
        self.vectors = np.stack([nothing if one is None else vector(one) for one in self.states]) * reader.VECTOR_SCALE

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
    tasks = LogisticRegression(C=INVERSE_PENALTY, max_iter=100).fit(features_in[where], names, sample_weight=shares)
    unclear = np.array([row["ambiguous"] for row in twice])
    asks = LogisticRegression(C=INVERSE_PENALTY, max_iter=100).fit(features_in, unclear, sample_weight=np.where(unclear, 2.0, 1.0))
    return np.vstack([tasks.coef_, asks.coef_]).T, np.concatenate([tasks.intercept_, asks.intercept_])


def fit_attention(design: Design, rows: list[dict[str, Any]], picked: np.ndarray) -> dict[str, np.ndarray]:
    """The matrices of `reader.attended`, trained on the clear English statements among `picked`."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    use = [i for i in picked if design.states[i] is not None and not rows[i]["ambiguous"]]
    wanted = torch.tensor([CLASSES.index(rows[i]["task"] or reader.NONE) for i in use])
    lengths = torch.tensor([len(design.states[i]) for i in use])
    states = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(design.states[i]) for i in use], batch_first=True)
    width, outputs = states.shape[-1], len(CLASSES) - 1
    look, value, judge = torch.nn.Linear(width, LOOKS), torch.nn.Linear(width, VALUES), torch.nn.Linear(LOOKS * VALUES, outputs)
    parameters = [weight for layer in (look, value, judge) for weight in layer.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.05)
    steps = EPOCHS * -(-len(use) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(use)).split(BATCH):
            longest = int(lengths[batch].max())
            seen = torch.nn.functional.dropout(states[batch, :longest], DROPOUT)
            outside = torch.arange(longest)[None, :] >= lengths[batch][:, None]
            shares = look(seen).masked_fill(outside[..., None], -1e4).softmax(1)
            mixed = torch.nn.functional.dropout(torch.einsum("btk,btd->bkd", shares, value(seen)).flatten(1), DROPOUT)
            loss = torch.nn.functional.cross_entropy(judge(mixed), wanted[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    layers = {"look": look, "value": value, "judge": judge}
    return {name: np.vstack([layer.weight.detach().numpy().T, layer.bias.detach().numpy()[None, :]]) for name, layer in layers.items()}


def folds(design: Design, rows: list[dict[str, Any]], count: int) -> None:
    """Print cross-validated accuracy as the reader would have it with the encoder installed, and what its thresholds give."""
    fold = np.random.default_rng(0).integers(0, count, len(rows))
    chances, doubts = np.zeros((len(rows), len(CLASSES) - 1)), np.zeros(len(rows))
    for number in range(count):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        models = {use: fit(design, rows, train, use) for use in (False, True)}
        document = {name: pack(block) for name, block in fit_attention(design, rows, train).items()}
        reader._stored = lambda document=document: {"attention": document}  # type: ignore[assignment]
        reader._attention.cache_clear()
        for i in test:
            states = design.states[i]
            coefficients, bias = models[states is not None]
            logits = (design.matrix(np.array([i]), states is not None) @ coefficients + bias)[0]
            scores = reader.log_softmax(logits[:-1])
            chances[i] = np.exp(scores if states is None else reader.log_softmax((scores + reader.attended(states)) / 2))
            named = dict(zip(CLASSES, map(float, chances[i])))
            doubts[i] = reader.Reading(named, 1 / (1 + np.exp(-logits[-1])), "", [], {}).doubt
    report(rows, chances, doubts)


def report(rows: list[dict[str, Any]], chances: np.ndarray, doubts: np.ndarray) -> None:
    """Print top-1 and top-2 accuracy by task, difficulty and language, and the thresholds' recalls and false alarms."""
    order = chances.argsort(1)[:, ::-1]
    unclear = np.array([row["ambiguous"] for row in rows])
    wanted = np.array([CLASSES.index(row["task"] or reader.NONE) for row in rows])
    top1, top2 = order[:, 0] == wanted, (order[:, :2] == wanted[:, None]).any(1)
    print(f"top-1 {top1[~unclear].mean():.3f} top-2 {top2[~unclear].mean():.3f} of {np.sum(~unclear)}")
    for key in ("task", "difficulty", "language"):
        for name in sorted({str(row[key]) for row in rows}):
            of = np.array([str(row[key]) == name for row in rows]) & ~unclear
            if of.any():
                print(f"  {name:<26}{top1[of].mean():.3f} of {of.sum()}")
    outside = wanted == CLASSES.index(reader.NONE)
    for threshold in (0.25, 0.3, 0.35, 0.4, 0.45, 0.5):
        put = chances[:, -1] > threshold
        print(
            f"  none above {threshold}: recognised {put[outside & ~unclear].mean():.3f}, false alarms {put[~outside & ~unclear].mean():.3f}"
        )
    for threshold in (-2.6, -2.4, -2.2, -2.0, -1.8, -1.6, -1.4):
        asked = doubts > threshold
        print(f"  doubt above {threshold}: asked {asked[unclear].mean():.3f}, false alarms {asked[~unclear].mean():.3f}")


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
    for which, with_vector in (("words_only", False), ("with_vector", True)):
        coefficients, bias = fit(design, rows, every, with_vector)
        words, clues = len(design.names), len(CLASSES) - 1
        parts = {"words": coefficients[:words], "clues": coefficients[words : words + clues], "vector": coefficients[words + clues :]}
        document[which] = {name: pack(block) if len(block) else pack(np.zeros((1, len(CLASSES)))) for name, block in parts.items()}
        document[which]["bias"] = pack(bias[None, :])
    document["attention"] = {name: pack(block) for name, block in fit_attention(design, rows, every).items()}
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
        folds(design, rows, arguments.folds)
    else:
        write(design, rows)


if __name__ == "__main__":
    main()
