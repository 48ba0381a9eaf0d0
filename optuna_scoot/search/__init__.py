"""The search for the configuration that an acquisition function finds most promising.

climb  the default's: many points climb one function
nsga2  the paper's: a Pareto front by NSGA-II
"""
