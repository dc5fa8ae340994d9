"""Do newer customers stay better: retention by the period of the start, in customers and money, and beyond the data."""
