"""The command ``optuna-scoot``: the only place where sampler and objectives meet."""
