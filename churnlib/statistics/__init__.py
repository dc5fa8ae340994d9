"""Counts in, results out: how many leave, is it unusual, why, what is it worth."""
