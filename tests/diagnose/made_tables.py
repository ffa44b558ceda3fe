"""Small tables of every shape, made from a few words, with columns named, renamed, foreign or shuffled."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

PEOPLE = ("Anna Berg", "Tom Hale", "Mira Costa", "Jonas Wirth", "Lea Moreau", "Paul Okafor")
PLACES = ("Oslo", "Lisbon", "Kyoto", "Lima", "Tunis", "Perth")
THINGS = ("lamp", "kettle", "saddle", "carpet", "radio", "bicycle", "mirror", "ladder")
MOODS = {
    "praise": ("works wonderfully and arrived early", "is lovely and I would buy it again", "made my whole family happy"),
    "complaint": ("broke on the first day and nobody helps", "arrived scratched and I want my money back", "is a terrible waste of money"),
    "question": (
        "needs which battery and where do I get it",
        "comes with what guarantee and for how long",
        "fits which model and which year",
    ),
}
GERMAN = {
    "lamp": "Lampe",
    "kettle": "Kessel",
    "saddle": "Sattel",
    "carpet": "Teppich",
    "radio": "Radio",
    "bicycle": "Fahrrad",
    "mirror": "Spiegel",
    "ladder": "Leiter",
}
CODE = (
    "def add(a, b):\n    return a + b  # {}",
    "for (let i = 0; i < {}; i++) {{\n  total += i;\n}}",
    "class Box{}:\n    def __init__(self):\n        self.w = 1",
    "public int size{}() {{\n  return this.count;\n}}",
)
NAMES = {  # role: what else its column may be called
    role: tuple(names.split())
    for role, names in {
        "text": "text Kommentar reseña corps",
        "label": "label Kategorie etiqueta classe",
        "score": "score Note puntuación",
        "labels": "labels tags temas",
        "tokens": "tokens Wörter palabras",
        "tags": "ner_tags tags etiquetas",
        "spans": "spans entities marcas",
        "question": "question Frage pregunta",
        "context": "context Absatz pasaje",
        "answer": "answer Antwort respuesta",
        "answers": "answers Antworten respuestas",
        "document": "document Artikel cuerpo",
        "summary": "summary Zusammenfassung resumen",
        "source": "source Quelle origen",
        "target": "target Ziel destino",
        "query": "query Anfrage consulta",
        "passage": "passage Dokument documento",
        "messages": "messages chat turnos",
        "prompt": "prompt Eingabe consigna",
        "completion": "completion Ausgabe salida",
    }.items()
}


class MadeTable(list[dict[str, Any]]):
    """Rows with their column names, as a reader gives them."""

    columns: list[str]


def sentence(rng: random.Random, mood: str) -> str:
    return f"{rng.choice(('The', 'My', 'This', 'Our'))} {rng.choice(THINGS)} from {rng.choice(PLACES)} {rng.choice(MOODS[mood])}."


def words_and_tags(rng: random.Random) -> tuple[list[str], list[str]]:
    person, place = rng.choice(PEOPLE), rng.choice(PLACES)
    words = f"{person} sold a {rng.choice(THINGS)} in {place} to {rng.choice(('a friend', 'her aunt', 'the town'))}".split()
    tags = ["B-PER", "I-PER", *["O"] * (len(words) - 2)]
    tags[words.index(place)] = "B-LOC"
    return words, tags


def story(rng: random.Random) -> tuple[str, str, str, str]:
    """(passage, question, answer, summary)."""
    person, place, thing, year = rng.choice(PEOPLE), rng.choice(PLACES), rng.choice(THINGS), rng.randint(1900, 1999)
    passage = (
        f"In the spring of {year} the merchant {person} opened a small shop near the harbour of {place}. Business was slow at first, "
        f"until a visiting captain ordered a {thing} of unusual size. The order made the shop known all along the coast, and for the next "
        f"twenty years people came from far away to see how such a {thing} was made."
    )
    question, answer = rng.choice(
        (
            (f"Who opened the shop in {place}?", person),
            (f"When did {person} open the shop?", str(year)),
            (f"Where was the shop of {person}?", place),
        )
    )
    return passage, question, answer, f"How {person} of {place} became known for a {thing}"


def cases(rng: random.Random, rows: int) -> Iterator[tuple[str, str, dict[str, list[Any]]]]:
    """(what it is, task or "none", {role: cells})."""
    moods = [rng.choice(list(MOODS)) for _ in range(rows)]
    texts = [sentence(rng, mood) for mood in moods]
    yield "labels as words", "sequence-classification", {"text": texts, "label": moods}
    yield "labels as numbers", "sequence-classification", {"text": texts, "label": [str(list(MOODS).index(mood)) for mood in moods]}
    yield "a score", "sequence-classification", {"text": texts, "score": [f"{len(text) / 20 + rng.random():.2f}" for text in texts]}
    yield (
        "several labels",
        "sequence-classification",
        {"text": texts, "labels": [rng.sample(["price", "speed", "care", "look"], rng.randint(0, 3)) for _ in texts]},
    )
    yield (
        "labels with a separator",
        "sequence-classification",
        {"text": texts, "labels": ["; ".join(rng.sample(["price", "speed", "care", "look"], rng.randint(1, 3))) for _ in texts]},
    )
    tagged = [words_and_tags(rng) for _ in range(rows)]
    yield "words and tags", "token-classification", {"tokens": [w for w, _ in tagged], "tags": [t for _, t in tagged]}
    yield "lists as text", "token-classification", {"tokens": [str(w) for w, _ in tagged], "tags": [json.dumps(t) for _, t in tagged]}
    yield "with spaces", "token-classification", {"tokens": [" ".join(w) for w, _ in tagged], "tags": [" ".join(t) for _, t in tagged]}
    yield (
        "marked stretches",
        "token-classification",
        {
            "text": [" ".join(w) for w, _ in tagged],
            "spans": [[{"start": 0, "end": len(" ".join(w[:2])), "label": "PER"}] for w, _ in tagged],
        },
    )
    stories = [story(rng) for _ in range(rows)]
    yield (
        "question, passage, answer",
        "question-answering",
        {"question": [s[1] for s in stories], "context": [s[0] for s in stories], "answer": [s[2] for s in stories]},
    )
    answers = [
        {"text": [s[2]], "answer_start": [s[0].index(s[2])]} if i % 4 else {"text": [], "answer_start": []} for i, s in enumerate(stories)
    ]
    yield (
        "answers with offsets",
        "question-answering",
        {"question": [s[1] for s in stories], "context": [s[0] for s in stories], "answers": answers},
    )
    yield "summaries", "summarization", {"document": [s[0] for s in stories], "summary": [s[3] for s in stories]}
    english = [
        (
            f"I bought the {t} in {p} because it is the best {t} of all.",
            f"Ich habe das Ding ({GERMAN[t]}) in {p} gekauft, weil es das beste von allen ist.",
        )
        for t, p in ((rng.choice(THINGS), rng.choice(PLACES)) for _ in range(rows))
    ]
    yield "two languages", "translation", {"source": [e for e, _ in english], "target": [g for _, g in english]}
    yield "questions and passages", "semantic-search", {"query": [s[1] for s in stories], "passage": [s[0] for s in stories]}
    yield (
        "chats",
        "causal-lm",
        {
            "messages": [
                [{"role": "user", "content": t}, {"role": "assistant", "content": f"Thank you, {m}."}] for t, m in zip(texts, moods)
            ]
        },
    )
    told = [f"Write a {rng.choice(('letter', 'poem', 'note'))} about a {rng.choice(THINGS)} for {rng.choice(PEOPLE)}" for _ in range(rows)]
    yield (
        "prompts",
        "causal-lm",
        {"prompt": told, "completion": [f"Dear reader, {sentence(rng, 'praise')} {sentence(rng, 'question')}" for _ in told]},
    )
    yield "code", "causal-lm", {"text": [rng.choice(CODE).format(i) for i in range(rows)]}


def outside(rng: random.Random, rows: int) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """(kind, columns) of tables without text to work on."""
    numbers = [f"{rng.random() * 90:.2f}" for _ in range(rows)]
    yield "forecasting", {"when": [f"2023-{1 + i // 28 % 12:02d}-{1 + i % 28:02d}" for i in range(rows)], "value": numbers}
    yield (
        "tabular",
        {"rooms": [str(rng.randint(1, 9)) for _ in range(rows)], "area": numbers, "sold": [rng.choice(("yes", "no")) for _ in range(rows)]},
    )
    yield (
        "recommendation",
        {
            "who": [f"u{rng.randint(1, 40)}" for _ in range(rows)],
            "what": [f"i{rng.randint(1, 60)}" for _ in range(rows)],
            "stars": [str(rng.randint(1, 5)) for _ in range(rows)],
        },
    )
    yield "images", {"file": [f"pictures/{i}.jpg" for i in range(rows)], "class": [rng.choice(("cat", "dog")) for _ in range(rows)]}
    yield "audio", {"clip": [f"sound/{i}.wav" for i in range(rows)], "class": [rng.choice(("cat", "dog")) for _ in range(rows)]}


def beside(rng: random.Random, rows: int) -> dict[str, list[Any]]:
    """Columns that say nothing of the task."""
    every = {
        "id": [str(i + 1) for i in range(rows)],
        "created": [f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}" for _ in range(rows)],
        "author": [rng.choice(PEOPLE) for _ in range(rows)],
        "url": [f"https://example.org/{rng.randint(1, 9999)}" for _ in range(rows)],
        "version": ["v1"] * rows,
    }
    return {name: every[name] for name in rng.sample(sorted(every), 3)}


def laid(columns: dict[str, list[Any]], naming: str, rng: random.Random) -> tuple[MadeTable, dict[str, str]]:
    """The table and {role: column}. naming: "roles", "foreign" (other languages) or "blind" (letters, shuffled, with others beside)."""
    items = list(columns.items())
    others = beside(rng, len(items[0][1])) if naming == "blind" else {}
    if naming == "blind":
        items += list(others.items())
        rng.shuffle(items)
    called = {}
    for at, (role, _) in enumerate(items):
        known = NAMES.get(role, (role,))
        called[role] = {"roles": role, "foreign": rng.choice(known), "blind": f"c{at}"}[naming] if role not in others else role
    rows = MadeTable({called[role]: cells[i] for role, cells in items} for i in range(len(items[0][1])))
    rows.columns = [called[role] for role, _ in items]
    return rows, {role: called[role] for role in columns}
