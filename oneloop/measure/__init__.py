"""Measuring: statistics per row, the score from statistics, its interval, a naive baseline, and a signature.

In:  predictions and the rows they answer (a task's `score` calls one of the scorers below).
Out: `Statistics`, from which every metric, its 95 % interval and the paired difference of two runs follow.

    statistics.py      one line of numbers per row, and how lines become metrics
    classification.py  accuracy, macro and micro F1; several labels per text; regression
    entities.py        entity F1 as conlleval counts it, the strict reading beside it, tag accuracy
    squad.py           exact match and F1 by the SQuAD rules, the no-answer threshold
    language_model.py  loss, perplexity, bits per byte
    generation.py      ROUGE, BLEU, chrF
    sentences.py       Unicode words and sentences for ROUGE and lead-3
    ranking.py         nDCG, recall, reciprocal rank, average precision
    evaluate.py        a model and rows to predictions and Statistics
    lexical.py         BM25, the baseline of search
    probabilities.py   logits to probabilities, the threshold of a label
    interval.py        the bootstrap, for one run or for the difference of two
    baseline.py        the naive methods a model must beat
    signature.py       the line that says how a score came about
    compare.py         two run folders on the same rows
"""
