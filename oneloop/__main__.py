"""`python -m oneloop` is the command `oneloop`."""

from oneloop.cli import main

main()
