"""The grid: every pruning method on every backbone, data set, ratio and number of missing sensors.

docs/results.md shows what came of it.
"""
