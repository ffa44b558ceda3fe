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
    clues = Clues(
        phrases={
            r"\bsemantic search\b|\bembeddings?\b|\bbi-encoder\b|\bretriev\w+|\brag\b|\bre-?rank\w*|\bnearest[- ]neighbou?r": 2.0,
            r"\b(most|best) (relevant|similar|fitting|matching)\b|\bclosest\b|\b(passendsten|ahnlichsten|pertinents"
            r"|plus proches|mas parecidos|mas relevantes)\b": 1.5,
            r"\b(tickets|cases|documents|articles|reports|questions|threads|decisions)\b.{0,12}\b(like (this|it|that)"
            r"|similar to|resembling)\b": 1.5,
            r"\b(match|map|link|zuordnen|emparejar|relier)\b.{0,60}\b(faq|knowledge base|entry|article|eintrag|entrada)\b": 1.5,
            r"\b(by meaning|rather than keywords?|even if the word|synonyms|por significado|par le sens|nach bedeutung)\b": 2.0,
            r"\b(bought|clicks?|rated|photo)\b": -1.5,
        },
        shape="queries with the passages that answer them, pairs or triplets of texts, or a corpus with queries and judgements",
        example="Given a new ticket, show the ten most similar old ones.",
    )
