"""Files in, typed text out: encodings, delimiters, headers, dates and amounts as people write them.

files     the files of a data set, and what each of them is
encoding, delimited | excel | parquet | database     rows of text, whatever the file
header    where a table begins, what its columns are called, where it ends
reading   all of this: every row is in a raw table of the engine, or rejected by name
written, dates, values     one text -> what it means, or why not
usual, doubts, typed       a column of texts -> its meaning: by SQL, as a whole, by its distinct texts
"""
