"""Counts per period in, results out: how many leave, is it unusual, since when, what explains the change, what next."""
