"""Runs a command: ``python -m virtual_board COMMAND ...``."""

import sys

from virtual_board.cli import main

sys.exit(main())
