"""Train the statement models on the tuning bank and write oneloop/diagnose/statements.json and reader.npz.

    python bench/diagnose/train.py --words                        the linear model over words: train and write
    python bench/diagnose/train.py --reader 0 --work DIR          fine-tune a reading of the encoder (--seconds N stops after
                                                                  that time, the same command goes on from there)
    python bench/diagnose/train.py --readers 3 --work DIR         write the finished readings
    python bench/diagnose/train.py --without en_a --work DIR      a reading without some authors' statements, and how well it, the
                                                                  linear model and both do on these; nothing is written

The clues of the task files were written beside the first statements of the bank, so on these they look better than they are:
for the linear model every statement also stands in the training set with its clues struck out.
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

from oneloop.diagnose import adapted
from oneloop.diagnose import statement as reader
from oneloop.diagnose.features import features, tokens, values
from oneloop.tasks import TASKS

HERE = Path(__file__).parent
ROOM = HERE.parents[1] / "oneloop" / "diagnose"
OUT = ROOM / "statements.json"
CLASSES = [*TASKS, reader.NONE, reader.AMBIGUOUS]
SEEN = 2  # statements a feature must occur in to be kept
INVERSE_PENALTY = 1.0  # of the logistic regression (scikit-learn's C)

Rows = list[dict[str, Any]]


def load(path: Path) -> Rows:
    """The statements of a bank."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def meant(row: dict[str, Any]) -> list[str]:
    """The classes a statement may be put into: its task or "none", or the two an ambiguous one leaves open."""
    return row["tasks"] if row["ambiguous"] else [row["task"] or reader.NONE]


class Design:
    """The two blocks of the linear model's design matrix for a list of statements: words, clues."""

    def __init__(self, rows: Rows) -> None:
        texts = [reader.in_english(row["statement"]) for row in rows]
        found = [values(features(tokens(text))) for text in texts]
        counts = Counter(name for one in found for name in one)
        self.names = sorted(name for name, count in counts.items() if count >= SEEN)
        place = {name: i for i, name in enumerate(self.names)}
        words = sparse.lil_matrix((len(rows), len(self.names)))
        for i, one in enumerate(found):
            for name, value in one.items():
                if name in place:
                    words[i, place[name]] = value
        self.words = words.tocsr()
        clues = [reader.clue_scores(text) for text in texts]
        self.clues = np.array([[one[name][0] for name in CLASSES[:-1]] for one in clues]) * reader.CLUE_SCALE

    def matrix(self, picked: np.ndarray, clues: bool = True) -> sparse.csr_matrix:
        """The rows `picked`; clues=False strikes the clues out."""
        return sparse.hstack([self.words[picked], sparse.csr_matrix(self.clues[picked] * clues)]).tocsr()


def fit(design: Design, rows: Rows, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (features, classes) and what is added, (classes,): the tasks against each other, and ambiguous against plain."""
    features_in = sparse.vstack([design.matrix(picked), design.matrix(picked, clues=False)]).tocsr()
    twice = [rows[i] for i in picked] * 2
    where, names, shares = [], [], []
    for position, row in enumerate(twice):
        for name in meant(row):
            where.append(position)
            names.append(CLASSES.index(name))
            shares.append((0.5 if row["ambiguous"] else 1.0) / len(meant(row)))
    tasks = LogisticRegression(C=INVERSE_PENALTY, max_iter=100).fit(features_in[where], names, sample_weight=shares)
    unclear = np.array([row["ambiguous"] for row in twice])
    asks = LogisticRegression(C=INVERSE_PENALTY, max_iter=100).fit(features_in, unclear, sample_weight=np.where(unclear, 2.0, 1.0))
    return np.vstack([tasks.coef_, asks.coef_]).T, np.concatenate([tasks.intercept_, asks.intercept_])


def targets(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(shares of the classes meant, (rows, tasks + 1); which are ambiguous, (rows,))."""
    shares = np.zeros((len(rows), len(CLASSES) - 1))
    for i, row in enumerate(rows):
        for name in meant(row):
            shares[i, CLASSES.index(name)] = 1 / len(meant(row))
    return shares, np.array([row["ambiguous"] for row in rows], float)


def report(rows: Rows, logits: np.ndarray) -> None:
    """Print top-1 and top-2 accuracy by difficulty and language, and what thresholds give."""
    readings = [
        reader.Reading(dict(zip(CLASSES, map(float, np.exp(reader.log_softmax(row[:-1]))))), odds(row[-1]), "", [], {}) for row in logits
    ]
    unclear = np.array([row["ambiguous"] for row in rows])
    outside = np.array([not row["ambiguous"] and row["task"] is None for row in rows])
    inside = ~unclear & ~outside
    top = [one.ranked[0] == row["task"] for one, row in zip(readings, rows)]
    first = np.array([right and one.none < 0.5 for right, one in zip(top, readings)])
    second = np.array([row["task"] in one.ranked[:2] for one, row in zip(readings, rows)])
    print(f"top-1 {first[inside].mean():.3f} top-2 {second[inside].mean():.3f} of {inside.sum()}")
    for field in ("difficulty", "language", "task"):
        for name in sorted({str(row[field]) for row in rows}):
            of = np.array([str(row[field]) == name for row in rows]) & inside
            if of.any():
                print(f"  {name:<26}{first[of].mean():.3f} of {of.sum()}")
    none, doubt = np.array([one.none for one in readings]), np.array([one.doubt for one in readings])
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
        put = none > threshold
        print(f"  none above {threshold}: recognised {put[outside].mean():.3f}, false alarms {put[inside].mean():.3f}")
    for threshold in np.arange(-3.5, 0.1, 0.25):
        asked = (doubt > threshold) & (none < 0.5)
        print(f"  doubt above {threshold:.2f}: asked {asked[unclear].mean():.3f}, false alarms {asked[~unclear].mean():.3f}")


def odds(logit: float) -> float:
    """Log-odds as a probability."""
    return float(1 / (1 + np.exp(-logit)))


def pack(weights: np.ndarray) -> dict[str, Any]:
    """Whole numbers of one byte with one scale for each class, compressed."""
    scale = np.abs(weights).max(0) / 127 + 1e-12
    small = np.rint(weights / scale).astype(np.int8)
    return {"shape": list(small.shape), "scale": [float(f"{x:.6g}") for x in np.atleast_1d(scale)], "data": squeezed(small.tobytes())}


def squeezed(data: bytes) -> str:
    """Compressed bytes as text."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def write_words(rows: Rows) -> None:
    """Train the linear model on everything and write it."""
    design = Design(rows)
    coefficients, bias = fit(design, rows, np.arange(len(rows)))
    words = len(design.names)
    document = {"classes": CLASSES, "names": squeezed("\n".join(design.names).encode())}
    document |= {"words": pack(coefficients[:words]), "clues": pack(coefficients[words:]), "bias": pack(bias[None, :])}
    OUT.write_text(json.dumps(document) + "\n", "utf-8")
    print(f"{OUT.name}: {OUT.stat().st_size // 1024} KiB, {words} features, {len(rows)} statements")


def lower(rows: Rows, work: Path) -> Any:
    """The encoder's states of the statements after its frozen layers, kept in `work` as float16."""
    import adapt
    import torch

    texts = [reader.in_english(row["statement"]) for row in rows]
    path = work / f"states-{zlib.crc32(repr((adapt.FIRST, texts)).encode()):08x}.pt"
    if not path.exists():
        torch.set_num_threads(1)
        torch.save([state.half() for state in adapt.lower(texts)], path)
    return torch.load(path)


def train_reader(rows: Rows, seed: int, work: Path, seconds: float) -> Any:
    """Train a reading; None while some of it is missing."""
    import adapt
    import torch

    torch.set_num_threads(1)
    return adapt.train_reader(lower(rows, work), *targets(rows), seed, work / f"reader-{seed}.pt", seconds)


def write_readers(count: int, work: Path) -> None:
    """Write the finished readings into one file."""
    import adapt
    import torch

    found = []
    for number in range(count):
        stored = torch.load(work / f"reader-{number}.pt")
        if stored["done"] < stored["of"]:
            raise SystemExit(f"reading {number} has {stored['done']} of {stored['of']} steps")
        model = adapt.Adapted(len(CLASSES))
        model.load_state_dict(stored["model"])
        found.append(model.blocks())
    blocks = {name: np.stack([one[name] for one in found]) for name in found[0]}
    np.savez(ROOM / adapted.FILE, layers=np.array([adapt.FIRST, adapt.LAST]), **blocks)
    print(f"{adapted.FILE}: {(ROOM / adapted.FILE).stat().st_size // 1024} KiB, {count} readings")


def left_out(rows: Rows, authors: list[str], arguments: argparse.Namespace) -> None:
    """Train without some authors' statements and say how well these are read, by each model and by both."""
    import adapt

    train, test = [row for row in rows if row["author"] not in authors], [row for row in rows if row["author"] in authors]
    model = train_reader(train, arguments.reader or 0, arguments.work, arguments.seconds)
    if model is None:
        return
    design = Design(train + test)
    coefficients, bias = fit(design, train + test, np.arange(len(train)))
    words = np.asarray(design.matrix(np.arange(len(train), len(rows))) @ coefficients + bias)
    read = adapt.answers(model, lower(test, arguments.work))
    both = np.stack([reader.averaged(one, other[None]) for one, other in zip(words, read)])
    np.savez(arguments.work / "left_out.npz", words=words, read=read)
    for name, logits in (("words", words), ("encoder", read), ("both", both)):
        print(f"{' '.join(authors)}, {name}")
        report(test, logits)


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, default=HERE / "tuning.jsonl")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--reader", type=int)
    parser.add_argument("--readers", type=int)
    parser.add_argument("--without", nargs="+", metavar="AUTHOR")
    parser.add_argument("--work", type=Path, default=Path("."))
    parser.add_argument("--seconds", type=float, default=1e9)
    arguments = parser.parse_args()
    rows = load(arguments.bank)
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.without:
        left_out(rows, arguments.without, arguments)
        return
    if arguments.words:
        write_words(rows)
    if arguments.reader is not None:
        train_reader(rows, arguments.reader, arguments.work, arguments.seconds)
    if arguments.readers:
        write_readers(arguments.readers, arguments.work)


if __name__ == "__main__":
    main()
