"""Question answering: the words of a given text that answer a question, or that nothing there does.

In: {"question", "context", "answers": [{"text", "start"}]}   [] for a question without an answer; start in code points
Out: {"answer", "start", "end", "score", "no_answer_score", "nbest": [{"text", "start", "end", "score"}]}

answer == context[start:end], always; "" (start = end = 0) says that the text does not answer. `score` is a probability among
the listed spans and "no answer"; `no_answer_score` is the score of "no answer" minus that of the best span, and an answer is
given where it is at most the threshold. Only data with unanswerable questions makes a model that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from oneloop.errors import DataError, Problem, RecipeError
from oneloop.read.cells import answers, joined_text, text
from oneloop.tasks.base import IGNORE, Batch, Clues, Column, Feature, Field, Prediction, Row, Task

if TYPE_CHECKING:
    import numpy as np
    import torch

    from oneloop.encode.answers import Spans
    from oneloop.measure.statistics import Statistics

NULL_MODELS = ("squad2", "squad_v2", "squadv2", "squad-v2", "squad_2", "squad-2")  # how published models that know "no answer" are called

NOTHING = {"text": "", "start": 0, "end": 0, "score": 0.0}  # "no answer" among answers


class QuestionAnswering(Task):
    """Find the answer to a question in a given text."""

    name = "question-answering"
    columns = (
        Column("question", text, help="what is asked"),
        Column("context", joined_text, help="the text that holds the answer"),
        Column("answers", answers, target=True, help="words of the context, with the character they start at; empty for no answer"),
    )
    head = "AutoModelForQuestionAnswering"
    metric = "f1"

    aliases = ("qa", "extractive-qa")
    does = "finds the words of a given text that answer a question, or says that there are none"
    label_shape = "the tokens at which the answer starts and ends; for no answer, twice the CLS token"
    collator = "long contexts in windows, each beside the whole question, padded to the longest"
    metric_limits = (
        "Exact match and F1 compare words without case, punctuation and articles (English ones only), and take the best of several "
        "accepted answers. They see neither whether the words stand in the right sentence nor how sure the model is."
    )
    wrinkle = "alignment"
    clues = Clues(
        phrases={
            r"\bextractive\b|\bsquad\b|\breading comprehension\b|\bcomprension lectora\b|\bleseverstehen\b"
            r"|\bspan[- ]prediction\b": 3.0,
            r"\b(span|phrase|sentence|passage|words|wording|line|quote|fragmento|frase|extrait|textstelle"
            r"|satz)\b.{0,40}\b(answers?|answering|respond\w*|contesta|repond|beantwortet)\b": 2.0,
            r"\banswer\w*\b.{0,60}\b(verbatim|word for word|exact|quot\w+|copied|substring)\b": 1.5,
            r"\b(question|pregunta|frage)\b.{0,20}\b(and|plus|y|et|und) (\w+ )?(context|passage|paragraph|article|document"
            r"|parrafo|paragraphe|absatz|text)\b": 1.5,
            r"\banswer\w*\b.{0,40}\bfrom (the|a|our|its|that|this) (\w+ )?(manual|handbook|page|text|passage|document"
            r"|chapter|story)\b": 1.5,
            r"\b(most relevant|rank\w*|closest|similar|thousands)\b": -1.5,
        },
        shape="a question, a text (context), and the piece of that text that answers it, with the character where it starts",
        example="People ask about a policy document; highlight the exact words in it that answer.",
    )
    fields = {
        "n_best": Field(int, 20, "Best starts and ends paired in each window."),
        "top_k": Field(int, 5, "Best spans listed with each prediction, at most n_best."),
        "max_answer_length": Field(int, 30, "Longest answer, in tokens."),
        "null_threshold": Field(float, None, "Answer where the no-answer score is at most this; chosen on validation when absent."),
    }
    defaults = {"max_length": 384, "stride": 128, "learning_rate": 3e-4, "head_factor": 3.0, "batch_rows": 16}
    row_metrics = ("exact_match", "f1")
    per_token = ("start_logits", "end_logits")

    def __init__(self, settings: dict[str, Any] | None = None, facts: dict[str, Any] | None = None) -> None:
        super().__init__(settings, facts)
        low = [name for name in ("n_best", "top_k", "max_answer_length") if int(self.settings[name]) < 1]
        if low:
            said = " and ".join(f"{name} is {self.settings[name]}" for name in low)
            fix = " ".join(f"--{name.replace('_', '-')} {self.fields[name].default}" for name in low)
            raise RecipeError(said, where=self.name, expected="whole numbers, at least 1", fix=fix)

    # ---- learned from the rows ------------------------------------------------------------------
    def learn(self, rows: Sequence[Row]) -> None:
        """Whether some questions have no answer; only then may predictions be empty. DataError where none has one."""
        known = [row for row in rows if "answers" in row]
        if known and not any(row["answers"] for row in known):
            raise DataError(
                f"none of the {len(known)} training questions has an answer",
                where=", ".join(dict.fromkeys(str(row["file"]) for row in known if row.get("file"))),
                expected="answers that stand in their context; some questions may have none",
                fix="fill in the answers, or name the column that holds them: --columns answers=COLUMN",
            )
        self.facts["unanswerable"] = any(not row["answers"] for row in rows if "answers" in row)
        self.facts.setdefault("threshold", 0.0)

    def prepare_rows(self, rows: Sequence[Row]) -> tuple[list[Row], list[str], list[Problem]]:
        """Rows whose answers are exact slices of their contexts, what was repaired for that, and what cannot be."""
        from oneloop.encode.repair import repair_answers

        silent = [problem for row in rows for problem in _empty_cells(row)]
        asked = [row for row in rows if not any(_empty_cells(row))]
        kept, notes, problems = repair_answers(asked)
        return kept, notes, silent + problems

    @classmethod
    def facts_from_config(cls, config: Any) -> dict[str, Any]:
        """A published model says "no answer" where its name tells that it was trained for it."""
        name = str(getattr(config, "_name_or_path", "")).lower()
        return {"unanswerable": any(part in name for part in NULL_MODELS), "threshold": 0.0}

    # ---- text to ids, batch, model ----------------------------------------------------------------
    def encode(self, rows: Sequence[Row], tokenizer: Any) -> list[Feature]:
        """Windows of each row's context beside its question; see `oneloop.encode.characters`."""
        from oneloop.encode.characters import question_features

        return question_features(rows, tokenizer, self.settings.get("max_length"), self.settings.get("stride"))

    def collate(self, features: Sequence[Feature], tokenizer: Any) -> Batch:
        """{"inputs": (B, T), "labels": (B, 2)}: start and end as positions of the padded input."""
        import torch

        batch = super().collate(features, tokenizer)
        if "labels" in batch and tokenizer.padding_side == "left":
            width = batch["inputs"]["input_ids"].shape[1]
            shift = torch.tensor([width - len(feature["input_ids"]) for feature in features])[:, None]
            batch["labels"] = torch.where(batch["labels"] == IGNORE, IGNORE, batch["labels"] + shift)
        return batch

    def loss(self, outputs: dict[str, torch.Tensor], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Per window the mean of the start's and the end's cross-entropy over its tokens, and 1: the Hugging Face heads'
        loss of that window alone. Those heads let padding into the softmax, so their loss changes with the batch; here it is masked."""
        from oneloop.model.losses import cross_entropy

        padding = batch["inputs"]["attention_mask"] == 0
        (start, count), (end, _) = (
            cross_entropy(outputs[name].float().masked_fill(padding, float("-inf")), batch["labels"][:, side])
            for side, name in enumerate(("start_logits", "end_logits"))
        )
        return (start + end) / 2, count

    # ---- spans, thresholds, scores -------------------------------------------------------------------
    def decode(
        self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row], tokenizer: Any = None
    ) -> list[Prediction]:
        """The best span over all windows of each row; "" where "no answer" scores more than the threshold above it."""
        from oneloop.encode.answers import best_answers, no_answer_scores

        threshold = self.settings["null_threshold"]
        threshold = self.facts.get("threshold", 0.0) if threshold is None else threshold
        contexts, n_best = [row["context"] for row in rows], int(self.settings["n_best"])
        spans = self._spans(outputs, features, rows, keep=n_best)
        predictions = []
        found = best_answers(spans, contexts, n_best, int(self.settings["top_k"]))
        for (ranked, none), doubt in zip(found, no_answer_scores(spans).tolist()):
            nothing = NOTHING | {"score": none}
            best = ranked[0] if ranked else NOTHING
            if self.facts.get("unanswerable"):
                ranked = sorted([*ranked, nothing], key=lambda item: -item["score"])
                best = nothing if doubt > threshold else best
            said = {"answer": best["text"], "start": best["start"], "end": best["end"], "score": best["score"]}
            predictions.append(said | {"no_answer_score": doubt, "nbest": ranked})
        for feature in features:
            if feature["cut"]:
                predictions[feature["row"]]["cut"] = feature["cut"]
        return predictions

    def _spans(self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row], keep: int) -> Spans:
        """The `keep` best spans of each window."""
        from oneloop.encode.answers import find_spans

        settings = self.settings
        longest = int(settings["max_answer_length"])
        return find_spans(outputs, features, len(rows), n_best=int(settings["n_best"]), max_tokens=longest, keep=keep)

    def calibrate(self, outputs: Sequence[dict[str, np.ndarray]], features: Sequence[Feature], rows: Sequence[Row]) -> None:
        """The threshold with the best F1 on these rows, by the search of the official SQuAD 2.0 script."""
        from oneloop.encode.answers import best_texts, no_answer_scores
        from oneloop.measure.squad import best_threshold

        if self.facts.get("unanswerable") and rows:
            spans = self._spans(outputs, features, rows, keep=1)
            said = best_texts(spans, [row["context"] for row in rows])
            self.facts["threshold"] = best_threshold(said, no_answer_scores(spans).tolist(), _accepted(rows))[0]

    def score(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Statistics:
        """exact_match and f1; where some questions have no answer also both for those that have one, and the share of
        the others that was left unanswered."""
        from oneloop.measure.squad import squad
        from oneloop.measure.statistics import join

        whole = squad([prediction["answer"] for prediction in predictions], _accepted(rows))
        return join(whole, _by_answerability(whole, rows)) if any(not row["answers"] for row in rows) else whole

    def baseline(self, train: Sequence[Row], rows: Sequence[Row]) -> tuple[str, list[Prediction]] | None:
        """The stretch of the sentence that shares most words with the question; "" throughout where that is said to score more."""
        from oneloop.measure.baseline import question_overlap

        return question_overlap(train, rows)

    def checks(self, rows: Sequence[Row]) -> Iterable[Problem]:
        """Rows whose answers cannot be used."""
        return self.prepare_rows([row for row in rows if "answers" in row])[2]

    def snippet(self, model: str) -> str:
        """Python that loads and uses the model."""
        row = '{"question": "Who wrote it?", "context": "The report was written by Ann."}'
        return f'import oneloop\n\nmodel = oneloop.load("{model}")\nprint(model.predict({row})[0]["answer"])'


def _empty_cells(row: Row) -> Iterator[Problem]:
    """A problem for a question and for a context that holds nothing but white space."""
    for role in ("question", "context"):
        if not row[role].strip():
            yield Problem(f"the {role} is empty", "write it or remove the row", str(row.get("file", "")), row.get("row"), column=role)


def _accepted(rows: Sequence[Row]) -> list[list[str]]:
    """The accepted answers of each row."""
    return [[answer["text"] for answer in row["answers"]] for row in rows]


def _by_answerability(whole: Statistics, rows: Sequence[Row]) -> Statistics:
    """The scores of `whole` over the rows with an answer and over those without (HasAns and NoAns of the official script)."""
    import numpy as np

    from oneloop.measure.statistics import Statistics, ratio

    has = np.array([bool(row["answers"]) for row in rows], dtype=np.float64)[:, None]
    table = np.hstack([whole.table[:, :3] * has, whole.table[:, :3] * (1 - has)])

    def reduce(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "exact_match_answerable": ratio(sums[:, 0], sums[:, 2]),
            "f1_answerable": ratio(sums[:, 1], sums[:, 2]),
            "exact_match_unanswerable": ratio(sums[:, 3], sums[:, 5]),
        }

    return Statistics(table, reduce)
