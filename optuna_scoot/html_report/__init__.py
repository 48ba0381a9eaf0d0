"""A study as one HTML page that opens without a network.

contents     all that the page tells, gathered from a study alone: no engine, no task
measured     finalists under several arrival orders, and the verdict on them
outcomes     the trials one after the other: what each reached, and the best so far
importance   which parameters the values follow, as far as few trials can tell
feasibility  where configurations run, as the sampler's forest sees it
crashes      what crashed, why, and the end of the engine's log
figures      all of this as Plotly's figures, in plain mappings
page         the figures and tables as HTML
"""
