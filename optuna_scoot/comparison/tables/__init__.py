"""Measured tables as problems: every configuration is looked up, none is measured again."""
