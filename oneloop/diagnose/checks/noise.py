"""Labels that are probably wrong: the other rows, by cross-validation, speak for another class with confidence.

In:  `Data` with texts and one label each. Out: a finding with the rows, the label given and the label suggested.

A linear model on words gives each row the probabilities of models that never saw it. A row is suspect by confident learning
(Northcutt, Jiang and Chuang, "Confident Learning", JAIR 2021): cleanlab's `find_label_issues` where it is installed, else the
same rule: the probability of some other class reaches the mean self-confidence of that class, and it exceeds the given one.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oneloop.diagnose.checks.finding import LOOK, Data, Finding, about, percent, shorten
from oneloop.keyed import generator

MOST_ROWS = 20_000  # rows cross-validated; of more a sample is taken and said so
MOST_CELLS = 600_000  # rows × classes, which is what the time grows with
FOLDS = 3
SMALLEST = 30  # rows under which nothing is said
PER_CLASS = 5  # examples a class needs
CHANCE = 0.05  # how far above the most frequent label a model must come before it says anything about the labels
SUSPECTS = 0.2  # share of suspect rows from which the model is more in doubt than the labels
READ = 2_000  # characters of a text that are read


def label_errors(data: Data) -> Iterator[Finding]:
    """Rows whose label the rest of the data contradicts. Nothing when scikit-learn is not installed."""
    if "label" not in data.roles or importlib.util.find_spec("sklearn") is None:
        return
    found = [
        (row, text) for name, rows in data.splits.items() for row, text in zip(rows, data.texts[name]) if row.get("label") and text.strip()
    ]
    counts = Counter(str(row["label"]) for row, _ in found)
    kept = {label for label, count in counts.items() if count >= PER_CLASS}
    found = [item for item in found if str(item[0]["label"]) in kept]
    if len(found) < SMALLEST or len(kept) < 2 or len(kept) > 0.2 * len(found):
        return
    total = len(found)
    most = min(MOST_ROWS, MOST_CELLS // len(kept))
    if total > most:
        picked = np.sort(generator("noise", total).choice(total, most, replace=False))
        found = [found[i] for i in picked]
        counts = Counter(str(row["label"]) for row, _ in found)
        found = [item for item in found if counts[str(item[0]["label"])] >= PER_CLASS]
    names = sorted({str(row["label"]) for row, _ in found})
    place = {name: i for i, name in enumerate(names)}
    labels = np.array([place[str(row["label"])] for row, _ in found])
    if len(names) < 2:
        return
    odds = out_of_fold([text[:READ] for _, text in found], labels)
    right = float((odds.argmax(1) == labels).mean())
    most_frequent = float(np.bincount(labels).max() / len(labels))
    if len(found) >= 10 * SMALLEST and right < most_frequent + CHANCE * (1 - most_frequent):
        usual = f"always saying the most frequent one gives {most_frequent:.1%}"
        message = f"a linear model on words agrees with {percent(right, 1)} of the labels; {usual}"
        remedy = "check that labels and texts belong together (a shifted column?), and that this is the right column"
        yield Finding("labels-unrelated", LOOK, message, remedy, len(found), right)
        return
    suspects, how = suspicious(odds, labels)
    if not len(suspects) or len(suspects) > SUSPECTS * len(found):
        return
    rows = [found[i][0] for i in suspects]
    guesses = [names[int(odds[i].argmax())] for i in suspects]
    shown = [
        f"{shorten(str(row['label']), 25)} → {shorten(guess, 25)}? {shorten(found[i][1], 50)}"
        for row, guess, i in zip(rows, guesses, suspects)
    ]
    sampled = f", in a sample of {len(found):,} of {total:,} rows" if len(found) < total else ""
    agree = f"{percent(right, 1)} agree with a linear model that did not see them{sampled}"
    message = f"{{count}} rows ({{share}}) probably have a wrong label ({how}; {agree})"
    remedy = "look at them, the surest first; correct what is wrong and leave the hard ones"
    yield about("likely-label-errors", LOOK, rows, len(found), message, remedy, examples=shown, suggested=guesses)


def out_of_fold(texts: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Class probabilities, (N, L), each from a model that was trained without the row: tf-idf and logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    features = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2 if len(texts) > 500 else 1, max_features=50_000, sublinear_tf=True, dtype=np.float32
    )
    matrix = features.fit_transform(texts)
    odds = np.zeros((len(texts), int(labels.max()) + 1), np.float32)
    for train, held in folds.split(matrix, labels):
        odds[np.ix_(held, np.unique(labels[train]))] = _probabilities(matrix[train], labels[train], matrix[held])
    return odds


def _probabilities(train: Any, labels: np.ndarray, held: Any) -> np.ndarray:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=30, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ranking of the rows settles long before the weights do
        model.fit(train, labels)
    return np.asarray(model.predict_proba(held), np.float32)


def suspicious(odds: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, str]:
    """(positions of rows whose label is probably wrong, surest first; by which rule)."""
    if importlib.util.find_spec("cleanlab") is not None:
        from cleanlab.filter import find_label_issues

        chosen = find_label_issues(labels, odds, filter_by="prune_by_noise_rate", return_indices_ranked_by="self_confidence", n_jobs=1)
        return np.asarray(chosen, np.int64), "cleanlab"
    return confident_learning(odds, labels), "confident learning"


def confident_learning(odds: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows for which another class reaches that class's mean self-confidence and beats the given label, least sure first."""
    own = odds[np.arange(len(labels)), labels]
    sizes = np.bincount(labels, minlength=odds.shape[1])
    means = np.bincount(labels, weights=own, minlength=odds.shape[1]) / np.maximum(sizes, 1)
    sure = np.where(odds >= np.where(sizes > 0, means, 2.0), odds, 0.0)
    best = sure.argmax(1)
    chosen = np.flatnonzero((sure.max(1) > 0) & (best != labels) & (odds[np.arange(len(labels)), best] > own))
    return chosen[np.argsort(own[chosen], kind="stable")]
