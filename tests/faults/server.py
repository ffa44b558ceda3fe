"""A process that has imported everything once and forks a fresh `oneloop` for each job, so that a kill costs no import.

In:  JSON lines on stdin: {"do": "start", "argv": […], "plants": [[name, {…}]], "env": {…}, "cwd": …, "out": stem}
     and {"do": "wait", "pid": n}.
Out: JSON lines on stdout: {"ready": true}, {"pid": n}, {"status": the exit code, negative for a signal}.

One thread only (OMP_NUM_THREADS=1 before torch is imported), so that fork is safe.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import traceback
from typing import Any

WARM = [
    "torch", "torch.utils.data", "transformers", "transformers.trainer", "accelerate", "tokenizers", "safetensors.torch",
    "filelock", "rich.progress", "numpy", "sklearn.metrics", "scipy.stats", "scipy.special", "jinja2", "yaml", "typer",
    "oneloop.cli", "oneloop.run", "oneloop.finish", "oneloop.prepare", "oneloop.parts", "oneloop.loop", "oneloop.engines.trainer",
    "oneloop.ship.report", "oneloop.ship.card", "oneloop.ship.save", "oneloop.ship.predict", "oneloop.measure.evaluate",
    "oneloop.measure.baseline", "oneloop.measure.interval", "oneloop.model.load", "oneloop.model.adapters", "oneloop.read",
    "oneloop.read.split", "oneloop.diagnose", "oneloop.tasks.sequence_classification", "oneloop.tasks.token_classification",
    "torch.distributed", "transformers.models.bert.modeling_bert", "oneloop.measure.classification", "oneloop.measure.entities",
    "oneloop.resume", "oneloop.read.roles", "oneloop.read.clean", "oneloop.read.where", "oneloop.encode.texts",
    "oneloop.encode.tokenize", "oneloop.encode.windows", "oneloop.encode.collate", "oneloop.model.losses",
    "oneloop.model.pooled_windows", "oneloop.measure.probabilities", "oneloop.tasks.causal_lm", "oneloop.tasks.masked_lm",
    "oneloop.tasks.question_answering", "oneloop.tasks.semantic_search", "oneloop.tasks.summarization", "oneloop.tasks.translation",
]


def warm() -> None:
    """Import what a run uses, and fill the caches that a run would fill: templates and the table of renamed weights."""
    for name in WARM:
        importlib.import_module(name)
    from oneloop.ship import report

    for name in ("report.html", *report.environment().list_templates(extensions=["html"])):
        report.environment().get_template(name)
    from transformers import conversion_mapping

    conversion_mapping.get_checkpoint_conversion_mapping("bert")


def child(job: dict[str, Any]) -> int:
    """Become the command line of one job; returns its exit code."""
    from tests.faults import plants

    os.setsid()
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, job["out"] + ".out", 0), (2, job["out"] + ".err", 0)):
        handle = os.open(name, flags or os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    sys.argv = ["oneloop", *job["argv"]]
    code = 1
    try:
        for name, settings in job["plants"]:
            getattr(plants, name)(**settings)
        from oneloop.cli import main

        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    return code


def main() -> None:
    """Import, then serve until stdin closes."""
    warm()
    answers = os.fdopen(os.dup(1), "w")

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    say({"ready": True})
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        job = json.loads(line)
        if job["do"] == "wait":
            _, status = os.waitpid(job["pid"], 0)
            say({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if pid == 0:
            try:
                answers.close()
            finally:
                os._exit(child(job))
        say({"pid": pid})


if __name__ == "__main__":
    main()
