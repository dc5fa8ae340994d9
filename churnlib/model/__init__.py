"""dataset.yml in, canonical tables out: what the company calls things -> what every count calls them.

schema (parts, crosscheck), vocabulary     what dataset.yml may say, and the words that it and the files share
intake, churn_form                         raw tables -> typed tables
rules, rowbook                             every row is used, or set aside by a rule that is named
customers, reasoncells, canonical          typed tables -> canonical tables, stored as Parquet
origins, cache, places                     where files come from, and where what was made of them is kept
dataset, views, segments, scope            the data set as analysts hold it: all of it, or some customers
checktable                                 what was read, as `make check` prints it
propose (looking, matching, synonyms)      a folder of files -> a proposed dataset.yml
reasonwords, form_print                    texts -> reasons; the churn form of a customer
"""
