"""Files in, typed text out: encodings, delimiters, headers, dates and amounts as people write them."""
