"""The search for the configuration that an acquisition function holds most promising."""
