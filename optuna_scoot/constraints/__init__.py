"""Known constraints: what is valid is known before any trial has run (paper, section IV-E3).

known        all constraints of a study, on dictionaries and on columns
expression   those that are strings; operators say what their operators mean, names whose they are
callables    those that are callables
domain       a space with its constraints: valid points, repaired points
walk         valid points where hardly any is valid
"""
