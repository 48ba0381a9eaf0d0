"""The search space as the unit cube (paper, section III).

dimension     one parameter: its values to an interval and back
search_space  the box of all parameters, what the models see of it, Sobol points
one_hot       levels as columns, for models that compare numbers
activity      conditional spaces: which parameters are asked for when
points        when two points are the same
"""
