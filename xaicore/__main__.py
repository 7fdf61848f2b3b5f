"""`python -m xaicore`: the same as the `xaicore` command."""

from __future__ import annotations

from xaicore.cli.main import main

if __name__ == "__main__":
    main()
