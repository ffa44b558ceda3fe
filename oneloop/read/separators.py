"""Which sign separates the labels of a column that writes several into one cell.

In:  the cells of a whole column
Out: | ; , or /, or "" where every cell is one label
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

SIGNS = "|;,"  # in this order: a name may hold a comma where a bar or semicolon separates, hardly the other way round
COMMON = 0.05  # share of the cells with any sign that must hold the one that separates: one stray bar is part of a name
SLASH = 0.15  # share of cells that must hold a slash before it separates: `n/a` and `km/h` are names
REPEATED = 0.4  # names found between slashes as a share of all such parts; labels repeat
ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d+|#x[0-9A-Fa-f]+);")  # the semicolon of `R&amp;D` separates nothing
LONGEST = 40  # characters of a label between slashes


def separator(cells: Iterable[Any]) -> str:
    """The sign that separates labels in the text cells of a column; cells that hold JSON lists or nothing do not count."""
    texts = [ENTITY.sub("&", cell.strip()) for cell in cells if isinstance(cell, str) and cell.strip()]
    texts = [text for text in texts if text[0] + text[-1] not in ("[]", "()", "{}")]
    counts = Counter(sign for text in texts for sign in SIGNS if sign in text)
    marked = sum(any(sign in text for sign in SIGNS) for text in texts)
    found = next((sign for sign in SIGNS if counts[sign] and counts[sign] >= COMMON * marked), "")
    return found or ("/" if _slashed(texts) else "")


def _slashed(texts: list[str]) -> bool:
    lists = [[part.strip() for part in text.split("/")] for text in texts]
    several = sum(len(parts) > 1 for parts in lists)
    items = Counter(part for parts in lists for part in parts)
    return (
        several >= max(1, SLASH * len(lists))
        and len({len(parts) for parts in lists}) > 1
        and len(items) <= REPEATED * items.total()
        and max(map(len, items)) <= LONGEST
        and "" not in items
    )
