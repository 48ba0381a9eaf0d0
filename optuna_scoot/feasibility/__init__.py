"""Hidden constraints: what runs and what crashes is learnt from trials (paper, section IV-G).

forest     the probability of feasibility (POF)
threshold  Δ, which moves (algorithm 1)
"""
