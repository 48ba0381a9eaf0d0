"""Acquisition functions: how promising a configuration is (paper, sections IV-D and IV-E).

improvement  UCB, PI, EI and EHVI by their formulas
score        the default's, weighed by constraints, POF and crashes
paper        the paper's: MACE and EHVI
"""
