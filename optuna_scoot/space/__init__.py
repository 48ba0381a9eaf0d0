"""The search space as the unit cube (paper, section III)."""
