"""The page's figures as Plotly reads them, in plain mappings.

base           roles for colours, axes, lines
tried          the trials: front, best so far
judged         the verdict's intervals, latency over the request rate
learnt         importance of the parameters, the threshold Δ
feasible       where configurations run
circumstances  time budget, lengths and arrivals
"""
