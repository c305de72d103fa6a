"""`python -m cobra_kit` is `cobra-kit`."""

from __future__ import annotations

import sys

from cobra_kit.cli import main

if __name__ == "__main__":
    sys.exit(main())
