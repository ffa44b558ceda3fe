"""Pack glossaries into oneloop/diagnose/glosses.zip.

    python bench/diagnose/glosses.py FOLDER      FOLDER/gloss_de*.tsv, gloss_es*.tsv, gloss_fr*.tsv

In:  tables of `form<TAB>english`, lower case, a form as it is written with its accents; several tables of one language are
joined, the first one that lists a form wins. Out: one sorted table for each language, and the English words they and the English
statements of the tuning bank use.
"""

from __future__ import annotations

import argparse
import json
import re
import zipfile
from pathlib import Path

from oneloop.diagnose.gloss import GLOSSED

OUT = Path(__file__).resolve().parents[2] / "oneloop" / "diagnose" / "glosses.zip"
WHEN = (2026, 1, 1, 0, 0, 0)  # the same files give the same bytes


def table(paths: list[Path]) -> dict[str, str]:
    """Form to English of some tables; a line that is not two cells is an error."""
    found: dict[str, str] = {}
    for path in paths:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            cells = [" ".join(cell.replace("’", "'").split()) for cell in line.split("\t")]
            if len(cells) != 2 or not cells[0]:
                raise SystemExit(f"{path.name}, line {number}: {len(cells)} cells where form<TAB>english was expected")
            found.setdefault(cells[0].lower(), cells[1].lower())
    return found


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    tables = {language: table(sorted(folder.glob(f"gloss_{language}*.tsv"))) for language in GLOSSED}
    files = {f"{language}.tsv": "".join(f"{form}\t{tables[language][form]}\n" for form in sorted(tables[language])) for language in GLOSSED}
    used = {word for found in tables.values() for english in found.values() for word in english.split() if word.isascii()}
    for line in (Path(__file__).parent / "tuning.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        used |= set(re.findall(r"[a-z]{3,}", row["statement"].lower())) if row["language"] == "en" else set()
    files["en.txt"] = "\n".join(sorted(used)) + "\n"
    with zipfile.ZipFile(OUT, "w") as stored:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            stored.writestr(entry, text, compresslevel=9)
    print(f"{OUT.name}: {OUT.stat().st_size // 1024} KiB, " + ", ".join(f"{name} {len(found)}" for name, found in tables.items()))


if __name__ == "__main__":
    main()
