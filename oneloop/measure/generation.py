"""Scores of generated text: ROUGE for summaries, BLEU and chrF for translations.

In:  generated texts, and one reference or several for each.
Out: Statistics, all on the scale 0-100.

ROUGE is rouge-score's F1 (Lin, 2004) with Unicode words of our own: its default tokenizer keeps only a-z and 0-9 and scores
identical Cyrillic texts 0. BLEU and chrF are sacrebleu's (Post, 2018; Popović, 2015), computed from its statistics per segment, so
the corpus score of any set of rows is exact. Their signatures are stored; scores with different signatures are not compared.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from oneloop.errors import DataError, Problem, require
from oneloop.measure.sentences import as_lines, words
from oneloop.measure.statistics import Statistics, join, ratio, require_pairs

Reference = str | Sequence[str]
ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
STEM_FROM = 4  # letters; rouge-score leaves shorter words alone
TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}  # sacrebleu's own choice for these targets; others: 13a
UNSPACED = ("th", "lo", "km", "my", "bo")  # no spaces between words: 13a would take a sentence for one word


class UnicodeWords:
    """A tokenizer for rouge-score: `words`, and where asked for the Porter stems of English words."""

    def __init__(self, stem: bool = False) -> None:
        self.stemmer: Any = require("nltk.stem.porter", "summarization").PorterStemmer() if stem else None

    def tokenize(self, text: str) -> list[str]:
        """Words of the text in order."""
        found = words(text)
        if self.stemmer is None:
            return found
        return [self.stemmer.stem(word) if len(word) >= STEM_FROM and word.isascii() else word for word in found]


def rouge(predicted: Sequence[str], gold: Sequence[Reference], *, stem: bool = False) -> Statistics:
    """`rouge1`, `rouge2`, `rougeL`, `rougeLsum`: F1 × 100, mean over rows, each the best over a row's references. Additive.

    stem: Porter stems, for English only. Lsum compares line by line; a text of one line is first split into sentences.
    """
    references = _references(predicted, gold)
    scorer = require("rouge_score.rouge_scorer", "summarization").RougeScorer(list(ROUGE), tokenizer=UnicodeWords(stem))
    table = np.ones((len(references), 5))
    for line, said, accepted in zip(table, predicted, references):
        found = scorer.score_multi([as_lines(text) for text in accepted], as_lines(said))
        line[:4] = [100 * found[name].fmeasure for name in ROUGE]

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        return {name: ratio(sums[:, i], sums[:, 4]) for i, name in enumerate(ROUGE)}

    stems = "porter" if stem else "none"
    signature = f"rouge|f1|words:unicode-nfc-lower|stem:{stems}|lsum:lines-else-sentences|references:max|version:{version('rouge-score')}"
    return Statistics(table, reduce, signature=signature)


def bleu(predicted: Sequence[str], gold: Sequence[Reference], *, language: str = "", tokenize: str = "") -> Statistics:
    """`bleu`, 0-100: sacrebleu's corpus BLEU. Additive.

    language: code of the target (`de`, `zh-CN`, …), which picks the tokenizer; tokenize: sacrebleu's name of one, if it is to be
    another. A metric over a handful of segments is mostly smoothing; chrF is steadier there.
    """
    references = _references(predicted, gold)
    chosen = tokenize or tokenizer_for(language)
    metric = require("sacrebleu.metrics", "translation").BLEU(tokenize=chosen)
    table = _segments(metric, predicted, references, 2 + 2 * metric.max_ngram_order)
    score = metric.compute_bleu
    order = metric.max_ngram_order

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        found = np.full(len(sums), np.nan)
        for i, line in enumerate(np.rint(sums).astype(np.int64).tolist()):
            if line[-1]:
                correct, total = line[2 : 2 + order], line[2 + order : 2 + 2 * order]
                found[i] = score(correct, total, line[0], line[1], smooth_method="exp", max_ngram_order=order).score
        return {"bleu": found}

    return Statistics(table, reduce, signature=f"bleu|{metric.get_signature()}")


def chrf(predicted: Sequence[str], gold: Sequence[Reference]) -> Statistics:
    """`chrf`, 0-100: sacrebleu's corpus chrF2 over character n-grams up to 6; needs no tokenizer. Additive."""
    references = _references(predicted, gold)
    metric = require("sacrebleu.metrics", "translation").CHRF()
    table = _segments(metric, predicted, references, 3 * metric.order)
    beta = float(metric.beta) ** 2

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums over rows, (B, S), to metrics, (B,)."""
        said, true, match = (sums[:, i:-1:3] for i in range(3))
        known = (said > 0) & (true > 0)  # orders longer than either side are left out, as sacrebleu's effective order does
        orders = known.sum(axis=1)
        precision = ratio(np.where(known, np.nan_to_num(ratio(match, said)), 0).sum(axis=1), orders)
        recall = ratio(np.where(known, np.nan_to_num(ratio(match, true)), 0).sum(axis=1), orders)
        value = 100 * (1 + beta) * np.nan_to_num(ratio(precision * recall, beta * precision + recall))
        return {"chrf": np.where(sums[:, -1] > 0, value, np.nan)}

    return Statistics(table, reduce, signature=f"chrf|{metric.get_signature()}")


def translation(predicted: Sequence[str], gold: Sequence[Reference], *, language: str = "", tokenize: str = "") -> Statistics:
    """`bleu` and `chrf` side by side."""
    return join(bleu(predicted, gold, language=language, tokenize=tokenize), chrf(predicted, gold))


def tokenizer_for(language: str) -> str:
    """sacrebleu's tokenizer for a target language: 13a, or the one made for it; `char` where that needs a package not installed."""
    code = language.lower().replace("_", "-").split("-")[0]
    if code in UNSPACED:
        return "char"
    chosen = TOKENIZERS.get(code, "13a")
    if chosen.endswith("-mecab"):
        module = "MeCab" if code == "ja" else "mecab_ko"
        return chosen if importlib.util.find_spec(module) else "char"
    return chosen


def _references(predicted: Sequence[str], gold: Sequence[Reference]) -> list[list[str]]:
    """A list of references for each text; DataError where the numbers differ or a row has none."""
    require_pairs(predicted, gold)
    lists = [[row] if isinstance(row, str) else list(row) for row in gold]
    problems = [Problem("no reference", "give at least one", row=number) for number, row in enumerate(lists, 1) if not row]
    if problems:
        raise DataError(f"{len(problems)} rows have no reference", problems)
    return lists


def _segments(metric: Any, predicted: Sequence[str], references: list[list[str]], width: int) -> np.ndarray:
    """sacrebleu's sufficient statistics of each segment and a 1, (N, width + 1); missing further references are None."""
    if not references:
        return np.zeros((0, width + 1))
    most = max(len(row) for row in references)
    columns = [[row[i] if i < len(row) else None for row in references] for i in range(most)]
    # the only way to a segment's counts for BLEU and chrF alike; tests hold its sums against the public corpus_score
    counts = np.array(metric._extract_corpus_statistics(list(predicted), columns), dtype=np.float64).reshape(-1, width)
    return np.hstack([counts, np.ones((len(counts), 1))])

