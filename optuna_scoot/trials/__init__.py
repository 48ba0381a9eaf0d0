"""What the trials of an Optuna study say, as arrays."""
