"""The offline agent: answers plain questions on a household's ledger, and reads requests, by rules, without any model.

A question becomes a typed `Query` (`understand`), the query figures (`compute`), the figures a sentence (`phrase`).
Every figure is computed from the rows that the answer names; what the ledger cannot answer is refused with a reason.
A request becomes a typed value (`requests`), its words rows or a finding (`selection`), and these a proposal
(`proposing`); `one_message` is one message, and what became of its proposals.

Nothing is imported here: who wants a list of words (`lexicon`) at the app's start pays for no rule of the rest.
"""
