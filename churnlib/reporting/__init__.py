"""A run: notebooks executed, chapters collected, pages rendered, verified and published."""
