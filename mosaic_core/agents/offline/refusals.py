"""What no ledger of transactions can answer, told by its words before anything else is read. Data."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from typing import Final

from mosaic_core.ledger.query import Refusal

_MINE: Final = r"(?:my|our|the|this|a|an|any|his|her|its|each|every|last)"
_PEOPLE: Final = (
    r"neighbou?rs?|friends?|colleagues?|boss|manager|co-?workers?|sisters?|brothers?|mums?|moms?|mother|dads?|father|parents|husband|wife|spouse|partner|girlfriend|boyfriend"
    r"|sons?|daughters?|kids|children|uncle|aunt|cousins?|in-?laws|roommates?|flatmates?|housemates?|landlady|people|families|family|americans?|brits|others|everyone|everybody|anyone else|someone else|somebody"
)

_PATTERNS: Final = (
    (
        "balances_not_in_ledger",
        r"\bbalances?\b|\bhow much (?:money |cash |savings |do )*(?:do )?(?:i|we) (?:currently |still |actually )?(?:have|own|got)(?: left| saved| saved up)?\b(?! (?:left over|leftover|over|spent|paid|earned|made|been|to pay|received|sent|donated|transferred|given|put|moved|blown|saved|used|withdrawn|gotten|got|bought|refunded|lost|gone|come|taken|had|already|so far|ever|i)\b)"
        r"|\bnet worth\b|\bmoney (?:is |do i have |have i got |have we got |do we have )?(?:left|available|remaining)\b(?! (?:my|our|the|over))|\b(?:is|are|sits|sitting|stands|is there|got|have|have i got|do (?:i|we) have) in (?:my |our |the )?(?:\w+ ){0,2}(?:accounts?|bank|savings|checking|wallet|isa|pot)\b(?! (?:fees?|charges?|interest))|\bhow (?:much|big) (?:is|are) (?:my|our) savings\b|\bhow much savings\b|^(?:(?:my|our|the|what is|what are|show|me) )*(?:total savings|savings (?:total|amount|sum))$|\bin savings (?:right |just )?(?:now|today|at the moment|currently)\b|\bin my (?:checking|savings|bank|current) account (?:right )?now\b|\b(?:left|remaining|remains) (?:in|on|to pay|of) (?:my|our|the)\b|\bleft to (?:pay|spend)\b"
        r"|\b(?:credit|spending|overdraft|card|withdrawal|transfer) limit\b|\blimit on\b|\bavailable (?:credit|funds|money|cash)\b|\b(?:do|did|will|still) (?:i|we)? ?(?:still )?owe\b|\b(?:i|we) (?:still )?owe\b|\boutstanding\b|\bhow rich\b|\bricher|\bpoorer|\bassets\b|\bliabilit|\bequity\b|\bworth\b|\bcredit do (?:i|we) have\b|\boverdrawn\b|\bin credit\b|\bpaid off my (?:mortgage|loan)\b|\bpay ?off date\b|\bhow much (?:is|was) in\b|\b(?:have|has) (?:i|we) got (?:in|left)\b|\b(?:i|we) (?:have|got) left\b(?! over)|\bgot in the bank\b",
        "The ledger holds transactions, not balances, so it cannot say that.",
    ),
    (
        "future_not_in_ledger",
        r"\b(?:will|wont|won't|shall|gonna)\b|\b(?:i|we|it|they)'ll\b|\bgoing to (?:spend|pay|cost|earn|be|have|get|save|need|make|owe|happen|buy|run)\b|\bforecast|\bpredict|\bproject(?:ed|ion)|\bexpect(?:ed|ing)?\b|\bestimate[ds]? (?:for|of) next\b|\bnext (?:\w+ )?(?:payment|bill|charge|pay ?(?:check|cheque|day|slip)|salary|wage|month|week|year|quarter|spring|summer|autumn|fall|winter|instal\w+|renewal|holiday|time|days?|[23456789]|few|couple|january|february|march|april|may|june|july|august|september|october|november|december)\b"
        r"|\btomorrow\b|\bupcoming\b|\bin the future\b|\bfuture\b|\b(?:when|what) (?:is|are|s|does|do) .*\b(?:renew|expire|mature)s?\b|\bdue\b|\bhow (?:long|many (?:months|years|days|weeks)) (?:until|till|before i)\b|\bam i going to\b|\bby the end of (?:the|this|next)\b|\bin \d+ (?:years|months|weeks|days)(?: time)?$|\bin (?:\d+|a few|ten|five) (?:years|months) time\b|\bretire(?:ment|d)?\b|\bexpir(?:e|es|y|ed|ation)\b|\bever be able\b|\bcoming (?:week|month|year|quarter)\b|\bremaining (?:payments|instal\w+)\b|\brun out\b",
        "The ledger records what has happened; it cannot tell the future.",
    ),
    (
        "advice_not_given",
        r"\bshould\b|\bshouldn't\b|\bought to\b|\bafford\b|\b(?:recommend|advice|(?<!kindly )(?<!please )advise|suggest|suggestion)|\bbest (?:way|card|bank|credit|savings|investment|stock|rate|deal|price|time|place to|option|account|supermarket to)\b|\bhow (?:can|could|do|should|might|would) (?:i|we) (?:save|cut|reduce|lower|improve|invest|budget|get out|pay off|cancel|spend less|stop|manage|make more|earn more)\b|\bis it (?:wise|smart|ok|okay|a good|worth|better|normal|too much|possible|safe|time)\b"
        r"|\bam i (?:on track|overspending|over budget|under budget|doing|saving enough|spending too|spending more than i should|paying too)\b|\btoo (?:much|many|high|expensive)\b|\bwhat if\b|\bhow would\b|\bwould (?:i|it|we|you)\b.*\b(?:save|cost|be)\b|\bbudget(?:s|ed|ing)?\b|\bworth it\b|\bgood (?:idea|deal|value|price)\b|\bvalue for money\b|\bhow (?:to|do i) \b|\bwhich (?:stocks?|funds?|shares?)\b|\bcheaper (?:\w+ )?(?:provider|supplier|alternative|option|deal|plan|tariff|insurance|option|insurer|place)\b|\bis there (?:a|any) (?:cheaper|better)|\brefinance\b|\bswitch (?:to|my|bank|provider|energy)|\breasonable\b|\bnormal for\b|\bunusual(?:ly)?\b|\bsuspicious\b|\bfraud\w*\b|\bscam\b|\blegit\b|\bwasteful\b|\bunnecessary\b|\bnecessary\b|\binvest in\b|\bneed to\b|\bcould (?:i|we)\b|\b(?:can|may) (?:i|we) (?:get|borrow|have|save|spend|claim|expect|still)\b",
        "That asks for advice or a judgement; the ledger only holds what was paid and received.",
    ),
    (
        "not_about_the_ledger",
        r"\bweather\b|\brain(?:ed|ing|y)?\b|\bsnow|\bsunny\b|\btemperature\b|\bjokes?\b|\bpoems?\b|\bsongs?\b|\bcapital (?:of|city)\b|\bpresident\b|\bprime minister\b|\brecipes?\b|\bwho are you\b|\bwho is\b|\bwho won\b|\bcredit (?:score|rating|history|report)\b|\bfico\b|\b(?:stock|share|house|oil|gold|gas|petrol|fuel) prices?\b|\bshare price\b|\b(?:interest|exchange|inflation|mortgage|tax|base|conversion|savings|fx|success) rates?\b|\brate of (?:interest|return|exchange|inflation)\b|\bwhat (?:is the |is my )?apr\b|\bapr (?:on|of|does|do|is|for my)\b|\bapy\b|\byield\b"
        r"|\bnews\b|\bmeaning of\b|\btranslate\b|\bwhat (?:time|date|day|year) is it\b|\bhow (?:old|tall|far(?! off| apart| above| below| over| under)|heavy|fast|happy|healthy|many people|good|bad|well|busy)\b|\bworld cup\b|\bscores?\b|\bbitcoins?\b|\bcrypto\w*\b|\bethereum\b|\bprice of (?:gold|bitcoin|oil|gas|a|milk|petrol|bread|eggs)\b|\bhow are you\b|\bwhat can you do\b|\bpasswords?\b|\bsystem prompt\b|\binstructions?\b|\bphone number\b|\btelephone number\b|\baddress(?:es)?\b|\baccount number\b|\brouting number\b|\bsort code\b|\biban\b|\bsocial security\b|\bpin\b|\bphotos?\b|\bpassport\b|\b(?:vacation|holiday|sick) days\b|\bdays off\b|\bhourly\b|\bwebsites?\b|\bemails?\b|\bopening (?:hours|times)\b|\bopen (?:today|now|on|until)\b|\bclosest\b|\bnearest\b|\blocated\b|\bpolicy\b|\bwarranty\b"
        r"|\bwrite (?:me )?(?:a|an|some)\b|\bportfolio\b|\bshares? doing\b|\bmy shares\b|\bmy stocks\b|\bdow jones\b|\bnasdaq\b|\bftse\b|\binvestments? (?:doing|perform|worth)|\bcurrent value\b|\bexchange\b|\byen would\b|\bwould i get\b|\bget for \d|\binflation\b|\bsales tax\b|\bvat\b|\btax (?:bracket|code|return|deductible)\b|\bdeductible\b",
        "That is not something that a ledger of transactions can answer.",
    ),
    (
        "items_not_in_ledger",
        r"\bcalorie?s?\b|\bsugar\b|\bprotein\b|\bcarbs\b|\bhow many (?:miles|kilomet\w+|km|gallons|lit(?:er|re)s?|items|hours|minutes|steps|people|kwh|kilowatt\w*|units|points|pieces|bottles|cups|pounds of|kilos|kg|bags|boxes|bananas|eggs|lattes|cappuccinos|pizzas|burgers|beers|films?|movies|episodes|books|shoes|pairs|tickets|songs|cigarettes|pints|loaves|apples|slices)\b|\bpoints\b|\bloyalty\b|\bair ?miles\b|\bwhat (?:did|have|had|do) (?:i|we) (?:eat|ate|eaten|drink|drunk|wear|watch|read|order at)\b|\bwhat (?:size|colou?r|flavou?r|model|kind of (?:coffee|pizza|shoes|food)|brand of)\b|\bshoe size\b|\bsize (?:\w+ )?(?:shoes?|shirts?|dress|clothes|trousers|jeans)\b|\bcolou?rs?\b|\bflavou?rs?\b|\bitems?\b|\bingredients?\b|\btable number\b|\bseat number\b|\border number\b|\breceipt number\b|\btips?\b|\btipped\b|\bgratuit|\bdishes?\b|\bquantity of\b|\bproducts?\b|\bdelivered\b(?! food| meal)|\bdelivery (?:date|status|arriv\w+)\b|\btracking\b|\bwarrant",
        "The ledger holds amounts, days and merchants, not what was in a purchase.",
    ),
    (
        "other_people_not_in_ledger",
        rf"\b(?:other|average|typical|most|normal|ordinary|median) (?:people|households?|famil(?:y|ies)|americans?|person|customers?|users?|man|woman|adult|brit|couple|consumer|shopper|uk|us)\b|\b(?:did|does|do|has|have|is|are|was|were|can) (?:my |our |the )?(?:\w+ )?(?:{_PEOPLE})\b(?! (?:clip|dollar|fare))|\b(?:{_PEOPLE})(?:'s|s')? (?:spend|spends|spent|pay|pays|paid|earn|earns|earned|make|makes|made|salary|wage|income|transactions?|account|rent|ledger|household|spending|bill|buy|bought|usually|typically)\b|\b(?:my|our) (?:{_PEOPLE})(?:'s|s')?\b(?=.*\b(?:earn|salary|income|spend|spent)\b)(?<!\bto my)|\bother households?\b|\banother household\b|\bwith me\b|\bwas (?:i|we) with\b|\bwere we with\b|\b(?:i was|we were) with\b"
        rf"|\b(?!(?:{_MINE}|what|it|that|how|where|who|let|there|here|today|yesterday|month|week|year|day|men|women|children)\b)\w+'s (?:household|ledger|spending|salary|finances|income|wages|earnings|expenses)\b|\bhousehold (?:of|b|[0-9a-f]{{8,}})\b|\bcompared? (?:to|with) (?:others|average|people|the average|everyone|national|my \w+'s)|\bnational average\b",
        "The ledger is this household's own; it says nothing of other people.",
    ),
    (
        "reasons_not_in_ledger",
        r"\bwhy\b|\bwhat (?:did|does|do|has|have|is|was|were) (?!i\b|we\b).*\b(?:use|used|using|spend|spent|do|done|doing) (?:with )?(?:my|our|the) .*\b(?:for|on)$|\b(?:do|did|done|doing) with (?:my|our|the)\b|\bhow come\b|\bthe reasons?\b|\bwhat (?:is|was) .* for$|\bwas it me\b|\bwhat (?:caused|made|drove|explains|happened)\b|\bpurpose of\b|\bwhat for\b",
        "The ledger says what was paid, not why.",
    ),
)  # fmt: skip

REFUSALS: Final = tuple((re.compile(pattern), Refusal(code, text)) for code, pattern, text in _PATTERNS)
REFUSAL_WORDS: Final = frozenset(
    word
    for _, pattern, _ in _PATTERNS
    for word in re.findall(r"(?<![a-z\\])[a-z]{4,}(?![a-z?])", pattern.replace("\\b", " "))
)
"""Whole words of the patterns, so that a slip in one is mended too."""
