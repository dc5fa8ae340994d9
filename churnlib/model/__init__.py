"""A declared data set in, canonical tables out: dataset.yml, rules, what happened to every row."""
