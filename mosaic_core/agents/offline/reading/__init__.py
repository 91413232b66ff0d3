"""From a question's words to a `Query`: marks on them, and rules that say what the marks mean together. Pure.

`text` and `spelling` make them one spelling, `names`, `periods`, `narrowing` and `marks` say what each word is, `facts`
and the table of `rules` (`shapes`, `relations`) what they ask, `subjects`, `times` and `flows` of which rows;
`understand` puts it together, and `refusals` tells what no ledger can answer.
"""
