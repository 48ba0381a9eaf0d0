"""Hidden constraints: what runs and what crashes is learnt from trials (paper, section IV-G)."""
