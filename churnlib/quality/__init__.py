"""Can the numbers be trusted: what was read, what is counted, and whether the story depends on the definition."""
