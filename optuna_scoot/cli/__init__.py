"""The command ``optuna-scoot``: parses and prints what ``tuning`` and ``comparison`` do."""
