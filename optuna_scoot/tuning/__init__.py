"""What ``optuna-scoot tune`` does, as a library."""
