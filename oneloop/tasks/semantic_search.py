"""Semantic search: texts to vectors; a query finds the passages that mean the same, ranked.

In: {"query", "passage"}, {"anchor", "positive", "negative"}, or a corpus with queries and judgements (BEIR).
Out: {"vector": […]}, or {"hits": [{"id", "score", "text", …}]} with an index
"""

from __future__ import annotations

from oneloop.tasks.base import Clues, Column, Task
from oneloop.tasks.cells import number, optional_text, text


class SemanticSearch(Task):
    """Find and rank passages by meaning; match a question with a known answer."""

    name = "semantic-search"
    columns = (
        Column("query", text, required=False, help="what is searched for, or its id where judgements stand apart"),
        Column("passage", text, target=True, required=False, help="a text that answers the query, or its id"),
        Column("relevance", number, target=True, required=False, help="how well the passage fits, 0 for not at all"),
        Column("anchor", text, required=False, help="a text"),
        Column("positive", text, target=True, required=False, help="a text that means the same or belongs to it"),
        Column("negative", text, target=True, required=False, help="a text that does not"),
        Column("title", optional_text, required=False, help="the title of a passage"),
        Column("corpus", text, required=False, help="the passages to search in"),
        Column("queries", text, required=False, help="the queries of an evaluation"),
    )
    head = "AutoModel + pooling"
    metric = "ndcg@10"

    aliases = ("sentence-similarity", "retrieval")
    does = "finds and ranks passages by meaning"
    label_shape = "pairs of query and passage (the other passages of a batch are the wrong answers), or none"
    collator = "pairs: queries and passages padded apart"
    metric_limits = (
        "nDCG and recall count only judged passages: a good hit that nobody judged counts as wrong. They do not see whether the "
        "ranked text answers the question, nor duplicates in the list; compare with BM25."
    )
    family = "encoder"
    trainable = False
    clues = Clues()
