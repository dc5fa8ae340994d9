"""Results in, blocks out: what every result shares, what may be shown, figures, tables, files."""
