"""The command, as ``python -m optuna_scoot``."""

from __future__ import annotations

from optuna_scoot.cli.main import main


if __name__ == "__main__":
    main()
