"""What a text or a pair of texts can be given: one label, several labels or a number; and what follows from it."""

TARGETS = {"score": "regression", "labels": "multi", "label": "single"}  # role -> kind
SHAPES = {  # role -> what diagnosis says of data that has it
    "score": {
        "metric": "spearman",
        "label_shape": "one float per text",
        "metric_limits": "Spearman sees the order alone: a model that is always off by two scores 1. RMSE, in the unit of the numbers, "
        "stands beside it.",
    },
    "labels": {
        "label_shape": "a multi-hot vector per text: one 0 or 1 for each label",
        "metric_limits": "Macro-F1 counts a label of three rows as much as one of three thousand, and accuracy only rows whose labels are "
        "all right: look at each label's own F1. Each label has a threshold of its own, chosen on validation rows.",
    },
}
PROBLEM_TYPES = {"regression": "regression", "multi": "multi_label_classification", "single": "single_label_classification"}
