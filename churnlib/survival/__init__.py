"""Counts by tenure in, results out: how long customers stay, when they leave, who stays longer."""
