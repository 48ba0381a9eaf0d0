"""Hidden constraints: what runs and what crashes is learnt from trials (paper, section IV-G).

crashes    all that is learnt of crashes, and POF ≥ Δ
forest     the probability of feasibility (POF)
threshold  Δ, which moves (algorithm 1)
risk       beyond the paper: a second opinion on the risk of a crash
chances    beyond the paper: levels that crashed get the benefit of the doubt
"""
