"""How long `oneloop --help` takes, whole process, and whether it imports torch. Prints JSON on the last line."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

PROBE = """
import sys
sys.argv = ["oneloop", "--help"]
from oneloop.cli import main
try:
    main()
except SystemExit:
    pass
print("torch" in sys.modules, file=sys.stderr)
"""


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Five runs after one that warms the disk cache."""
    statement = "pull the dates and company names out of these contracts"
    commands = {"help": [sys.executable, "-m", "oneloop", "--help"], "diagnose": [sys.executable, "-m", "oneloop", "diagnose", statement]}
    figures = {}
    for name, command in commands.items():
        seconds(command)
        figures[name] = sorted(seconds(command) for _ in range(5))
    torch = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True).stderr.strip().splitlines()[-1]
    summary = "; ".join(
        f"oneloop {name}: median {statistics.median(values):.2f} s (of 5: {', '.join(f'{v:.2f}' for v in values)})"
        for name, values in figures.items()
    )
    print(json.dumps({"summary": f"{summary}; torch imported by --help: {torch}", "figures": figures, "torch": torch}))


if __name__ == "__main__":
    main()
