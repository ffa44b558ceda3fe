"""The checks behind `oneloop check`, one file per family; each is a plain function from role rows to findings.

In:  a `Data` (role rows by split). Out: `Finding`s: what is wrong, how often, in which rows, and what to do about it.
No check asks which task it is: it looks at the roles that are there (text, label, tags, answers, source, …).
"""

from oneloop.diagnose.checks.finding import Data, Finding

__all__ = ["Data", "Finding"]
