"""`python -m bench`: every measurement that has no result yet; see arms.py."""

import sys

from bench.arms import main

main(sys.argv[1:])
