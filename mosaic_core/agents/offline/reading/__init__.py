"""From a question's words to a `Query`: marks on them, and rules that say what the marks mean together. Pure.

`question_text` and `respelling` make them one spelling, `name_reading`, `narrowing` and `marks` say what each word is,
`facts` and the rules (`shapes`, `relations`) what they ask, `subjects` of what; `understand` puts it together, and
`refusals` tells what no ledger can answer.
"""
