"""What an English clause asks of the assistant: to be shown or told something, one of the listed harmless actions, nothing
(where it denies), or something else."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from typing import Final

from mosaic_core.domain.policy.clauses import Sentence, is_amount
from mosaic_core.domain.policy.kinds import Kind
from mosaic_core.domain.policy.words import lists, opened

__all__ = [
    "FIGURES",
    "WANTS",
    "WH",
    "asked_of_you",
    "denied",
    "denies",
    "displays",
    "i_may",
    "is_listed",
    "moves",
    "shows_only_with",
]

# Frames that ask the assistant for something, or wish for it: what follows has to be harmless.
_LEAD: Final = re.compile(
    r" (?:"
    r"(?:(?:can|could|would|will|may|might|cud|cld|wud|cn) (?:you|u|ya|yu)|(?:can|could|may|might|shall) (?:i|we)|(?:cant|couldnt|wont|wouldnt) (?:you|u|ya))(?: (?:be able|possibly be able) to)?"
    r"|(?:you|u) (?:can|could|should|must|may|need to|have to|ought to|will|are to|would)"
    r"|(?:i|we) (?:would|d|should)?\s?(?:really |just |also |now |still |only )?(?:want|need|like|love|wish|have|hope|prefer|wanted|was hoping|am hoping)(?: for)?(?: you| u| us)? to"
    r"|(?:id|i would|we would|wed) (?:really |just )?(?:like|love|want|prefer|be happy|be glad|be interested)(?: for)?(?: you| u)? (?:to|in)|(?:i |we )?(?:wanna|gotta)|lets|let us|let me|let s"
    r"|help (?:me|us)(?: out)?(?: to)?|im (?:just )?(?:trying|looking|asking|hoping|ready|going)(?: you)? to|(?:i am|we are|were) (?:just )?(?:trying|looking|hoping) to|try to|try and"
    r"|do me an? (?:favou?r|solid) and|be a (?:dear|love) and|be so kind(?: as)? to|(?:would )?you be so kind(?: as)? to|go ahead(?: and)?|feel free to|make sure (?:to|you|that you)|be sure to"
    r"|why dont (?:you|we|u)|why not|how about(?: you| we)?|how bout(?: you| we)?|(?:would|do) you mind|mind|is it possible (?:for you )?to|would it be (?:possible|ok|okay|alright)(?: for you)? to"
    r"|is there (?:any |a )?(?:way|chance)(?: for you)?(?: (?:you|we|i|u) (?:can|could))?(?: to| of)?|any (?:chance|way)(?: (?:you|we|i|u) (?:can|could|would))?(?: to| of)?|are you able to|do you think (?:you|we|u) (?:can|could)"
    r"|(?:i )?(?:was |am |im )?(?:wonder|wondering) if (?:you|we|u) (?:can|could|would|might)|(?:might|may|could|can) i (?:trouble|ask|bother|get) you to"
    r"|(?:id|i would|i d|wed) (?:appreciate|be grateful|be glad|be happy|love|prefer|like) (?:it )?if (?:you|u)(?: could| would| can)?|(?:if )?(?:you|u) could"
    r"|(?:its |it is )?(?:high |about )?time (?:to|we|you)|we should|i should|please do|you to|what do you say (?:we|to)|are you (?:going to|gonna)|isnt it time (?:to|we|you)|shouldnt (?:you|we)|arent you"
    r"|gonna|going to need you to|would be (?:great|nice|good|lovely|helpful) (?:if you (?:can|could|would)?|to)|time (?:you|we)"
    r"|what if you|ill need you to|shall we|didnt you|(?:can|could|would|will|should) (?:someone|somebody|anyone|anybody)|(?:someone|somebody|anyone|anybody) (?:please|should|needs to|must|has to|could|can|able to|ought to)"
    r") "
)
FIGURES: Final = r"(?:list|lists|total|totals|sum|breakdown|overview|summary|table|chart|graph|figure|figures|number|numbers|average|amount|details|detail|info|information|data|history|report|comparison|count|idea|look|rundown|balance|spending|stats|statistics|insight|insights|names?(?= of)|dates?|amounts|averages|sums|prices?|costs?|explanation|estimate|forecast|hint|answer|percentage|picture|transactions|payments|expenses|update|view|run-down|list|categories|(?:top|biggest|largest) [\w-]+|heads|ranking|timeline|projection|definition|transfers|purchases|charges)"
WH: Final = r"(?:what|which|who|whom|whose|where|when|why|how|whats|whos|hows|whens|wheres|if|whether|hw)"
# Where a verb shows only with certain words after it; the others show with any.
_SHOWS_WITH: Final = {
    **dict.fromkeys(("tell", "telling", "remind", "reminding", "inform", "teach"), rf"^ (?:me|us|if|whether)\b(?! to\b)|^ (?:\w+ )?{WH} "),
    "bring": r"^ up ",
    **dict.fromkeys(("have", "take"), r"^ (?:a (?:quick |closer |good )?(?:look|breakdown|peek)|me through|stock)"),
    **dict.fromkeys(("get", "getting"), rf"^ (?:(?:me|us) (?:(?:back )?(?:a|an|the|my|our|all|some|just|only|any|of|every|quick|short|full|complete|brief|rough|more|total|monthly) )*|(?:a|an) )(?:[\w-]+ ){{0,2}}?{FIGURES} "),
    **dict.fromkeys(("give", "giving"), rf"^ (?:(?:me|us|at|to see) )?(?:(?:back )?(?:a|an|the|my|our|all|some|just|only|any|of|every|another|quick|short|full|complete|brief|rough|on|more|total|monthly|each) )*(?:[\w-]+ ){{0,2}}?{FIGURES} "),
    **dict.fromkeys(("make", "create", "draw", "build", "prepare", "generate", "produce", "compile", "run"), r"^ (?:(?:me|us|up) )?(?:[\w-]+ ){0,4}(?:lists?|tables?|charts?|graphs?|plots?|overview|summary|breakdown|reports?|comparison|timeline|forecast|projection|diagram|numbers|figures|analysis) "),
    **dict.fromkeys(("let", "letting"), r"^ (?:me|us) (?:know|see|have a look|take a look|check)\b"),
    **dict.fromkeys(("see", "seeing"), r"^ (?!to it|that (?:it|its|hes|shes|theyre|he|she|they|the|my|this|everything|\w+ (?:gets|is|has))\b|it gets|him|them|to the|about)"),
    **dict.fromkeys(("look", "looking"), r"^ (?:at|up|into|for|through|over|back|if|whether|in)\b"),
    **dict.fromkeys(("break", "breaking"), r" down\b"),
    **dict.fromkeys(("add", "adding"), r"^ up\b| up $"),
    **dict.fromkeys(("figure", "work", "working"), r" out "),
    **dict.fromkeys(("find", "finding"), r"^ (?!(?:him|her|them|bob) |\w+ (?:his|her|their) )"),
    **dict.fromkeys(("show", "showing"), r"^ (?!(?:it|this|that|them|these) to (?!me)|to (?!me|us)|him |her |them |(?:\w+ ){1,3}the door|(?!me|us|all|only|just|what|how|both|every|again|also|please|which|where|when|in|for|on)\w+ (?:my|our|the|his|her) )"),
    **dict.fromkeys(("list", "explain", "describe"), r"^ (?!(?:it|this|that|them|these) to (?!me)|to (?!me|us)|him |her |them |(?:\w+ ){1,3}the door|.* for sale | .*on (?:ebay|craigslist|marketplace))"),
    **dict.fromkeys(("pull", "pulling"), r"^ (?:up |together )|^ (?:my|the|all|our) (?!plug|money|cash|rest)"),
    **dict.fromkeys(("sort", "order", "split", "rank"), r" by "),
    **dict.fromkeys(("confirm", "verify"), rf"^ (?:{WH}|that) "),
    **dict.fromkeys(("go", "walk", "talk"), r"^ (?:me |us )?(?:through|over|back)\b"),
    **dict.fromkeys(("check", "chek", "checking"), r"^ (?!(?:me |myself )?out of|in with)"),
    **dict.fromkeys(("count", "rate"), r"^ (?!me )"),
    **dict.fromkeys(("name", "hear", "read"), r"^ (?!(?:him|her|them|it) |.* as |from |back )"),
    "answer": r"^ (?:me|my|this|that|the question)",
    **dict.fromkeys(("help", "helping"), rf"^ (?:me|us) (?:to )?(?:understand|see|find|figure|work out|with (?:a|my|this) question|know|learn)|^ (?:me |us |with )?{WH} |^ $|^ (?:me|us)(?: with that)? $"),
    "run": r"^ (?:through|the numbers|a report|me through)",
}  # fmt: skip
_TO_PERSON: Final = re.compile(
    r" (?:show|showing|give|tell|explain|list|read|describe) (?:(?:to )?(?:my|our|the|his|her) )?(?:wife|husband|partner|accountant|landlord|landlady|boss|sister|brother|mum|mom|dad|bank|adviser|advisor|son|daughter|friend|lawyer|everyone|anyone|somebody|someone) "
)
# Besides what shows: what "can I" may ask without asking for an action, and what a question may say of the assistant.
_I_MAY: Final = re.compile(
    r" (?:can|could|may|might) (?:i|we) (?:still |even |really |ever |possibly |also |maybe |actually )?(?:afford|see|view|know|expect|trust|spend|save|live|have (?:paid|sent|been|bought|spent|forgotten|a (?:look|list|breakdown|summary|question)|the (?:total|list|sum)(?! \w+ed| sent| moved| put))|get (?:a|an|the) (?:\w+ )?(?:list|total|breakdown|summary|overview|look)|ask (?:you )?(?:a|what|how|something|about|which|when)|see|find|check|look|manage|survive|compare|claim|deduct|retire)\b"
)
_YOU_MAY: Final = re.compile(
    r" (?:(?:can|could|would|will|do|should|must|may) (?:you|u)|are you able to)(?: (?:also|even|actually|really|possibly|please|pls|just|kindly|still|then|now|maybe))* (?:do|help|be(?! able)|see(?! to)|have|advise|suggest|recommend|say|call it|consider|think(?! (?:we|you|u|i|it) )|expect|know|tell|answer|access|handle questions|estimate|say)\b(?! (?:me |us )?(?:with )?(?:pay|send|cancel|transfer|clos|mov|delet|a favou?r|this for|it |that |the ))"
)

_CATEGORY: Final = r"(?:categor\w+|label|tag|groceries|eating[- ]out|restaurants?|dining|takeaways?|transport(?:ation)?|entertainment|utilities|travel|shopping|health|medical|household|personal care|childcare|gifts?|income|uncategori[sz]ed|food|sports?|fitness|leisure|education|business|work|rent|insurance|pets?|hobb(?:y|ies)|car|fuel|transfers?|subscriptions?|home|housing|clothes|clothing|charity|savings category|misc\w*|other|fun|kids)"
_HARMLESS: Final = re.compile(
    r"^ (?:"
    r"(?:re-?categori[sz](?:e|ing)|re-?classify|classify|categori[sz](?:e|ing)|re-?label|label|tag|untag|unmark|re-?tag|unflag|mark|flag|bookmark|star)(?! (?:as )?(?:stolen|lost|fraud))\b"
    r"|(?:count|treat|consider|list|class|log|file|record|show|see) (?:[^ ]+ ){1,7}(?:as|under) "
    rf"|(?:put|file|move|change|set|assign|switch|place|sort|class|group|update|correct|fix|rename|make|book) (?:[^ ]+ ){{0,7}}(?:(?:under|to|as|in|into|from|out of) (?:the |my )?{_CATEGORY}|categor\w+)(?: |$)"
    r"|(?:dismiss|ignore|hide|snooze|acknowledge|disregard|clear|close|resolve|silence)(?: [^ ]+){0,4} (?:signal|finding|warning|alert|anomal(?:y|ies)|flag|insight|notice|notification|suggestion|alarm|spike|rise|increase|hike|outlier|duplicate)s?\b"
    r"|(?:dismiss|ignore|disregard) (?:that|this|it|them|those|these)(?: one| ones)?(?: |$)"
    r"|(?:note|add|make|leave|write|put|save)(?: (?:me|down|a|the|new|another|short|quick|budget|that))* (?:note|budget|comment)s?\b|note (?:that|down|it|the|for|my|on)\b|note $|jot down |take note |keep in mind "
    r"|(?:remove|take off|drop|delete) (?:[^ ]+ ){0,4}(?:mark|tag|label|category)(?= |$)"
    r"|(?:draft|sketch)\b|(?:write|prepare|compose|make|do|create|give|show)(?: (?:me|us|up|a|an|the|first|rough|quick|short))* draft\b"
    r")"
)
_BUDGET: Final = re.compile(
    r"^ (?:(?:set|make|raise|lower|increase|reduce|change|update|adjust|create|plan|put|cap|keep|bump) (?!aside)(?:up )?(?:(?!access|member|user|owner|account|transfer|pot|card|aside)[^ ]+ )*?budgets?\b(?! (?:owner|access|member|account))|budget (?:[$€£]?\d|for\b)|(?:(?:my|our|the|a|new|monthly|weekly) )*(?:[a-z-]+ ){0,3}budget (?:of |to |at |is |for |should be )*[$€£]?\d)"
)
_REMARK: Final = re.compile(
    r"^ (?:i|we|my \w+) (?:dont|didnt|doesnt|do not|did not|does not|cant|cannot) (?:recogni[sz]e|remember|recall|know) (?:this|that|the|a|any|these|those) "
    r"| (?:seems?|looks?|feels?) (?:off|odd|wrong|strange|weird|suspicious|fishy|unusual) $"
    r"| (?:is|are|was|were) (?:in|under) the wrong categor\w+ $|^ (?:the )?categor\w+ (?:of|for) (?:[^ ]+ ){1,5}(?:is|are) wrong $"
    rf"| (?:belongs?|should(?: not|nt)? (?:be|count)) (?:to|in|under|as) (?:the )?{_CATEGORY} $"
    r"|^ (?:that|this|the) (?:[^ ]+ ){0,3}(?:charge|payment|transaction|finding|alert|signal|rise|increase|duplicate)(?: [^ ]+){0,5} (?:is|was) (?:fine|ok|okay|expected|on purpose|correct|mine|ours) $"
    r"|^ (?:can|could|might) (?:this|that|it) (?:[^ ]+ ){0,4}be (?:a |an |some\w* )?(?:fraud\w*|mistake|error|duplicate|scam|testing|wrong|right|true)\b"
)

_FIGURE_ASKED: Final = re.compile(
    r"^ (?:"
    r"(?:(?:on|in|over|for|during|since|between|throughout|across|at|from|by|excluding|net|all told|everything|its been|it has been|money back|month|last|this) (?:[^ ]+ ){0,8}?)?how (?:much|many|often|long) (?!you|u|it costs to|to)"
    r"|net of (?:[^ ]+ ){1,3}(?:what|how) (?:did|do|have|was|is) "
    r"|(?:the )?(?:size of|gap (?:between|in|at)|peak month|% (?:move|change) in|percentage change) "
    r"|rank (?:the |my |our )?(?:\d+ |two |three |four |five |ten )?(?:payees|merchants|shops|stores|categories|months)\b"
    r"|list (?:them|these|those)(?: all)? $"
    r"|give me (?:the |my |our )?(?:\d+ |two |three |four |five |ten )?(?:highest|biggest|largest|top|smallest|lowest|cheapest|total) (?:[^ ]+ )?(?:spends?|purchases|payments|charges|transactions|expenses|outgoings) "
    r"|(?:[^ ]+ ){1,3}(?:latest|last|next|first) (?:visit|billing|payment|charge|renewal) date $|(?:the )?(?:latest|last|first) (?:visit|billing|payment|charge) date $"
    r"|(?:first|last|latest) time (?:i|we) "
    r")"
)
"""A figure of the ledger, or a date, called for by its name."""

_HARMLESS_NOT: Final = re.compile(
    r" (?:bank|fraud\w*|stolen|instructions?|rules?|policy|previous instructions|savings account|pot|money|cash|autopay|direct debit|standing order|and send|then send|to pay|payee|access|owner|send it|approved) "
)

_NEGATION: Final = re.compile(
    r"^(?: (?:please|pls|plz|no|ok|okay|well|but|and|so|actually|you|u|i|we|again|though|there|its|theres|theres really|it|is|really|for now|just|under any circumstances|whatever you do|under no circumstances|said|meant|also|or|was|am|im|are))*"
    r" (?:dont|do not|dnt|dun|mustnt|must not|shouldnt|should not|shall not|may not|cannot|cant|never|no need|not|hold off|refrain from|avoid|without|nor|neither|under no circumstances|by no means|didnt ask|did not ask|havent asked|not asking|no reason|nobody|no one|in no case|isnt necessary|neednt|need not|wont need) "
)
_NOT_NEGATED: Final = re.compile(
    r" (?:forget|hesitate|fail|neglect|delay|wait|let|allow|permit|keep|renew|extend|continue|leave|miss|be (?:shy|afraid|late)|any ?more|any longer|just|only|merely|simply|argue|dawdle|no longer|lose|stop|skip|accept|another|(?:one|a) (?:more|cent|penny|dime)|put (?:it|this) off|hold back|rest until|sleep on|think twice|mind|want (?:to (?:see|be|get|receive|have|keep|pay for|lose|stay|miss|support)|(?!you|u|anyone|anybody|it|this|that|anything|them|to|any \w+ (?:sent|paid|made|cancelled|deleted|moved))\w+)|need (?!you|u|to)\w+|want (?:it|this|that|them) (?:to stop|gone|any)|like|care) "
)
_STATED_NOT: Final = re.compile(
    r"^(?: (?:but|and|so|well|also|or))*(?: (?:i|we))(?: really| just| still)? (?:dont|do not|didnt|havent|have not|never|cant|cannot|couldnt|wasnt|am not|did not|had not|hadnt) (?!want|need|asked|told|ask|like|wish)"
)

WANTS: Final = re.compile(
    r" (?:about time|you know what|expect|expecting|asking for|asks for|(?:better|easier|happier|nicer|safer|great|good|cool|nice|glad|happy|relieved|best) if|needs?|needing|wants?|wanted|wanna|must|should|shouldnt|ought|have to|has to|gotta|got to|please|pls|plz|lets|id like|would like|id love|would love|id prefer|id rather|id feel|would rather|wish|wishes|hopes?|hoping|deserves?|prefer|make sure|ensure|appreciate|grateful|supposed to|will have to|asap|urgent|urgently|immediately|right away|straight away|done with|fed up|sick of|tired of|had enough|no longer|any ?more|any longer|could do with|(?:would|will|d|itd|thatd) (?:make sense|be)|approve|approved|authori[sz]e|permission|go ahead|parted ways|handle|take care|deal with|expects|waiting|waits|want out|get rid|has got to|time for|time to|see to|gone|over to|is to|are to|my behalf|allowed|now on|do it|gets|goes|to you|trust you|leave it to you) "
)


_WISHED_NOT: Final = re.compile(
    r"^ (?:(?:please|but|and|so|i|we) )*(?:cant|couldnt|wont|wouldnt|dont|isnt|shouldnt|arent|didnt) (?:you|u|we|it)\b|^ why "
)


_NO_SENTENCE: Final = Sentence("", asked=False)


def asked_of_you(line: str, full: str) -> Kind | None:
    """A frame that asks for something: harmless where it asks to be shown, told or helped to understand."""
    found = None
    for source in (line, full):
        for match in _LEAD.finditer(source):
            rest = source[match.end() - 1 :]
            before = source[: match.start()].split()
            if before and match.group() in (
                " mind ",
                " gonna ",
                " you should ",
                " let me ",
                " i should ",
                " you can ",
                " you will ",
                " you would ",
                " you must ",
            ):
                continue
            if not {"you", "u", "ya", "yu", "someone", "anyone"} & set(match.group().split()) and not lists()[
                "wh"
            ].isdisjoint(before):
                continue
            if _I_MAY.match(source[match.start() :]) or _YOU_MAY.match(source[match.start() :]):
                found = Kind.ASKS
                continue
            if not _shows(rest):
                return Kind.UNKNOWN
            found = Kind.ASKS
    return found


def _shows(rest: str) -> bool:
    """Whether the predicate asks to be shown something, or for a listed harmless action."""
    words = opened(tuple(rest.split()))
    for _ in range(3):
        match = _LEAD.match(f" {' '.join(words)} ")
        if match is None:
            break
        words = opened(tuple(f" {' '.join(words)} "[match.end() :].split()))
    if not words:
        return False
    if is_listed(words, _NO_SENTENCE):
        return True
    if words[0] in ("know", "understand") or (words[0] in lists()["wh"]):
        return True
    return displays(words)


def displays(words: tuple[str, ...]) -> bool:
    verb = words[0]
    line = f" {' '.join(words)} "
    tail = f" {' '.join(words[1:])} " if len(words) > 1 else " "
    if verb not in lists()["shows"] or _TO_PERSON.match(line):
        return False
    needs = _SHOWS_WITH.get(verb)
    if needs is not None and not re.search(needs, tail):
        return False
    return not (verb in ("find", "get", "give", "bring", "take", "make", "pull", "have", "show") and moves(words))


def moves(words: tuple[str, ...]) -> bool:
    """Whether a sum is named that nothing marks as a bound of what is looked for."""
    return any(
        is_amount(w)
        and (i == 0 or words[i - 1] not in lists()["licence"])
        and not (i + 1 < len(words) and words[i + 1] in lists()["counted"])
        for i, w in enumerate(words)
    ) and any(w in ("to", "into", "for", "from", "him", "her", "them") for w in words)


def denied(full: str) -> Kind:
    if _NOT_NEGATED.search(full):
        return (
            Kind.UNKNOWN
            if not re.search(rf" (?:know|remember|recall|understand|care) (?:about )?{WH} ", full)
            else Kind.ASKS
        )
    if _STATED_NOT.match(full):
        if re.search(rf" {WH} ", full):
            return Kind.ASKS
        return Kind.TOLD if not WANTS.search(full) else Kind.UNKNOWN
    return Kind.ASKS


def shows_only_with(verb: str) -> bool:
    """A verb that is an order unless it shows."""
    return verb in _SHOWS_WITH and verb not in lists()["show_nouns"]


def denies(full: str) -> bool:
    """Whether the clause denies what it names, rather than wishing for it ("couldn't you")."""
    return _NEGATION.match(full) is not None and _WISHED_NOT.search(full) is None


def is_listed(words: tuple[str, ...], sentence: Sentence) -> bool:
    """One of the harmless actions: filing under a category, marking as recurring, dismissing a finding, a note on the
    budget, a draft that is not sent."""
    line = f" {' '.join(words)} "
    drafted = re.match(r" (?:write|compose|prepare) ", line) is not None
    if drafted and re.search(r"\b(?:don't|dont|do not|without|not yet|never) send", sentence.text):
        return True
    if _HARMLESS_NOT.search(line):
        return False
    return (_HARMLESS.match(line) is not None and not moves(words)) or _BUDGET.match(line) is not None


def is_remark(words: tuple[str, ...]) -> bool:
    """Whether it says of a row or a finding how it is filed, that it looks odd, or that it is as it should be."""
    return _REMARK.search(f" {' '.join(words)} ") is not None and not moves(words)


def asks_figure(words: tuple[str, ...]) -> bool:
    """Whether it asks for a figure without the form of a question: "in a typical month how much goes to rent", "size of
    the newest refund", "gap between what I paid A and B", "list them"."""
    line = f" {' '.join(words)} "
    asked = _FIGURE_ASKED.match(line) is not None and WANTS.search(line) is None
    return asked and ("how" in words or not moves(words))


def i_may(line: str) -> bool:
    """A "can I" that asks for a fact or a view rather than for an action."""
    return _I_MAY.match(line) is not None
