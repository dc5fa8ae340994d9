"""Counts per period in, results out: how many leave, is it unusual, since when, what explains the change, what next.

In the order of the chapters, each result and what it stands on:

series, season                      the complete periods of a level; the calendar's part of them
trend, segmentrates, ledger         rates, their changes, who leaves most; the books and the tracking table
control, groups                     is it unusual, and where (pchart: limits; usual: baseline; shrinkage)
changepoint (segmentation)          since when: steps and changes of slope
impact (touched, interrupted)       what events did: who met them, and counts before and after
forecast (ahead)                    what next
comparison                          two stretches of time side by side, of which
decompose (standardise)             tells rates from mix, and
slices (search)                     finds the customers that changed otherwise than all others
units (shrinkage)                   many small units without a ranking
companions, market                  what moves with churn; benchmarks
"""
