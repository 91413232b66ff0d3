"""The words that questions on a ledger are made of, by what they say. Data.

A phrase is written as its words; the longest phrase at a place wins. What is in none of these lists, names no merchant
and no topic, and is no time or amount, was not understood, and a question with such a word is not answered.
"""

# ruff: noqa: E501 - word lists read worse when they are broken
from __future__ import annotations

from enum import StrEnum
from typing import Final

from mosaic_core.agents.offline import wordforms


class Tag(StrEnum):
    """What a phrase says. The values are the letters of the `shape` of a question."""

    # what is asked
    HOW_MUCH = "HOWMUCH"
    HOW_MANY = "HOWMANY"
    HOW_OFTEN = "HOWOFTEN"
    TIMES = "TIMES"
    TOTAL = "TOTAL"
    AVERAGE = "AVG"
    PER = "PER"
    MAX = "MAX"
    MIN = "MIN"
    MOST = "MOST"
    LEAST = "LEAST"
    OFTEN = "OFTEN"
    TOP = "TOP"
    FIRST = "FIRST"
    LAST = "LAST"
    WHEN = "WHEN"
    WHERE = "WHERE"
    WHO = "WHO"
    WHAT = "WHAT"
    WHICH = "WHICH"
    AGO = "AGO"
    LIST = "LIST"
    BREAKDOWN = "SPLIT"
    GROUP = "GROUP"
    # how things relate
    MORE = "MORE"
    LESS = "LESS"
    THAN = "THAN"
    OR = "OR"
    AND = "AND"
    VERSUS = "VS"
    DIFFERENCE = "DIFF"
    COMPARE = "COMPARE"
    UP = "UP"
    DOWN = "DOWN"
    CHANGE = "CHANGE"
    PERCENT = "PERCENT"
    EXCEPT = "EXCEPT"
    BEFORE = "BEFORE"
    YEAR_EARLIER = "YEAREARLIER"
    NET = "NET"
    NET_OF_REFUNDS = "NETREFUNDS"
    OVERSPENT = "OVERSPENT"
    SINGLE = "SINGLE"
    # which money
    SPEND = "SPEND"
    PAY = "PAY"
    EXPENSES = "EXPENSES"
    BUY = "BUY"
    VISIT = "VISIT"
    ONE = "ONE"
    TRANSACTION = "TX"
    INCOME = "INCOME"
    EARN = "EARN"
    PAID_ME = "PAIDME"
    MONEY_IN = "IN"
    MONEY_OUT = "OUT"
    REFUND = "REFUND"
    TRANSFER = "TRANSFER"
    SAVE = "SAVE"
    MONEY = "MONEY"
    # what returns
    RECURRING = "RECURRING"
    SUBSCRIPTION = "SUBSCRIPTION"
    PRICE = "PRICE"
    START = "START"
    STOP = "STOP"
    # found by other means
    TARGET = "TARGET"
    SUBJECT = "SUBJ"
    PERIOD = "PERIOD"
    BOUND = "BOUND"
    NUMBER = "NUM"
    YES_NO = "YESNO"
    OTHER = "OTHER"


PHRASES: Final[dict[Tag, str]] = {
    Tag.HOW_MUCH: """how much; how many dollars; how many euros; how many pounds; how many bucks; how many euro; how many pound; how many dollar; how many quid; what amount; which amount;
        amount; amounts; what sum; how expensive; how costly; how dear; how big; how large; how high; size; size of; damage; how low; how steep; how small; how little""",
    Tag.HOW_MANY: "how many; number; numbers; count; counts; counted; quantity; tally of visits; tally of transactions; tally of purchases; tally of trips; tally of payments; tally of orders; how many different; how many distinct; how many separate; how many individual; amount of times; transaction tally; purchase tally; visit tally; trip tally; payment tally; order tally; transactions tally; transaction count; purchase count; visit count; trip count; payment count; order count; head count",
    Tag.HOW_OFTEN: "how often; how frequently; how regularly",
    Tag.TIMES: "times; time; occasions; occasion; separate times; different times; count wise; number wise; by number; in number; by count; by frequency; frequency wise; by number of visits; by number of purchases; by number of transactions; by number of payments; by visits",
    Tag.TOTAL: """total; totals; totalled; totaled; totalling; sum; sums; sum up; add up; adds up; added up; adding up; add; tot up; tally up; value; values; tots up; totting up; altogether; all told; all in; in all; overall; combined;
        together; cumulative; cumulatively; grand total; come to; comes to; came to; amount to; amounts to; amounted to; aggregate; in aggregate; entire; sum total; collectively; tallied up; tally; tallies; all together; joint total; jointly; combined total; summed; summed up; in combination; between them; put together; taken together; added together; lumped together; all up; totted up; all included; all inclusive; sub total; subtotal; run to; runs to; ran to; work out at; works out at; worked out at; bottom line for spending; bottom line on spending; bottom line for expenses; bottom line for expenditure; full amount; overall total; overall figure""",
    Tag.AVERAGE: "average; averages; averaged; averaging; avg; mean; typical; typically; usual; usually; normal; normally; on average; generally; ordinarily; average out; averages out; averaged out; averaging out; average out to; average out at; averages out at; averages out to; averaged out to; averaged out at; work out on average; as a rule; averaging by month; averaged by month",
    Tag.MAX: """largest; biggest; highest; maximum; max; priciest; costliest; dearest; most expensive; most costly; most pricey; greatest; heaviest; huge; hugest; steepest; single largest; single biggest; single highest; largest single;
        biggest single; highest single; single most expensive; most money in one go; record; peak; chunkiest; worst; best; top single; largest ever; biggest ever; main; number one; fattest; heftiest; bulkiest; meatiest; juiciest; beefiest; grandest; most substantial; most sizeable; most extravagant; most significant; record breaking; all time high; highest ever; costliest ever; topmost; largest amount; highest amount; biggest amount; highest value; top value""",
    Tag.MIN: "smallest; cheapest; lowest; minimum; min; tiniest; least expensive; least costly; single smallest; smallest single; littlest; most affordable; lightest; teeniest; slightest; smallest ever; lowest ever; cheapest ever; most modest; puniest; skimpiest; least pricey; most inexpensive; weest; lowest amount; smallest amount; lowest value; all time low",
    Tag.MOST: "most; most money; most of; mostly; biggest share; lion's share",
    Tag.LEAST: "least; least money; fewest; bottom",
    Tag.OFTEN: """most often; most frequently; most frequent; most common; most commonly; most visited; most times; most regularly; most regular; most used; most popular; favourite; favorite; busiest; most visits; most transactions; most purchases; most trips;
        most payments; most orders; more often; more frequently; more times; more regularly; often; frequently; frequent; frequency""",
    Tag.TOP: "top; rank; ranked; ranking; rankings; leading",
    Tag.FIRST: "first; first ever; very first; first time; earliest; oldest; initial; initially; debut; inaugural; maiden",
    Tag.LAST: "last; latest; most recent; most recently; newest; last time; recent; final; lately; last ever; very last; previous; more recently; recently; most up to date; latest ever",
    Tag.WHEN: """when; what date; which date; what day; which day; on what day; on which day; on what date; on which date; date; dates; dated; day of the month; which day of the month; what day of the month; on what day of the month; on which day of the month; what day of each month; which day of each month; date of the month; what date of the month; which date of the month; day of each month""",
    Tag.WHERE: "where; whereabouts; where all",
    Tag.WHO: "who; whom; from whom",
    Tag.WHAT: "what; what all",
    Tag.WHICH: "which; which ones; what kind of; what kinds of; what sort of; what sorts of; what type of; what types of",
    Tag.AGO: """how long ago; how long since; how long is it since; how long has it been since; how long has it been; how many days since; how many days ago; days since; how many days has it been since; how many days has it been; how many days is it since;
        number of days since; how many days have passed since; how many days passed since; how long it has been since; days ago; how recently; days have passed since; days has it been since; many days since; how many days since the last; how long has it been since the last""",
    Tag.LIST: """list; lists; listing; show; shows; display; find; enumerate; itemise; itemize; pull up; look up; bring up; every; all of; all the; all; each of; any; anything; everything; give me all; details; name; names; print; see; history; record of; records of; some; something; listed; itemised; itemized; run through""",
    Tag.BREAKDOWN: "breakdown; break down; broken down; break; split; split up; summary; summarise; summarize; overview; trend; trends; month by month; distribution; where does my money go; where did my money go; where is my money going; where did all my money go; where does all my money go; where our money goes; where my money goes; where did the money go; where did our money go",
    Tag.MORE: "more; higher; bigger; greater; larger; dearer; pricier; costlier; above; more expensive; more costly; in excess; exceed; exceeds; exceeded; outspend; outspent; extra; on top; outweigh; outweighed; outstripped; exceeding; cover; covers; covered; outpace; outpaced; beat; beats; beating; surpass; surpasses; surpassed; outdo; outdoes; outdid; outrank; outranks; outstrip; outstrips; overtake; overtakes; overtook; win; wins; won; winner; come out on top; comes out on top; came out on top; come out ahead of; came out ahead of; ahead of; heftier; steeper; the greater; the larger",
    Tag.LESS: "less; lower; smaller; fewer; cheaper; below; less expensive; under; lesser; the lesser; trail; trails; trailed; come behind; came behind; lag behind; lagged behind",
    Tag.THAN: "than; compared to; compared with; compare to; relative to; as against; against; over and above",
    Tag.OR: "or",
    Tag.AND: "and; plus; &; +; as well as; along with; both",
    Tag.VERSUS: "vs; versus; v",
    Tag.DIFFERENCE: "difference; differences; differ; differed; gap; differential; how far off; how far apart; discrepancy; disparity; spread between; distance between",
    Tag.COMPARE: "compare; compares; comparing; comparison; compared; how does; how do; how did; stack up; stacks up; measure up; compared to; compared with; in comparison to; in comparison with; relative to",
    Tag.UP: """increase; increases; increased; increasing; rise; rises; rose; risen; rising; go up; goes up; gone up; went up; going up; grow; grows; grew; grown; growth; jump; jumped; climb; climbed; raise; raises; raised; hike; hiked; hikes; got more expensive;
        get more expensive; gotten more expensive; become more expensive; became more expensive; got dearer; get dearer; put up; put its price up; put their price up; put up its price; put up their price; put up their prices; put their prices up; price increase; price increases; price rise; price rises; price hike; price hikes; went up in price; gone up in price; go up in price;
        increased in price; increased their price; increased its price; raised its price; raised their price; raised their prices; raise its price; raise their price; raise their prices; raised the price; raised prices; raise the price; cost more now; costs more now; charging more; charge more; charged more; getting more expensive; crept up; creep up; shot up; up on; upwards; upward; climbed; up from; up compared to; up compared with; up since; up against; upped; has gone up; have gone up; spending up; bill up; price up; costs up; getting dearer; getting pricier; getting costlier; gotten dearer; gotten pricier; become dearer; became dearer; become pricier; become costlier; got pricier; got costlier; after the rise; after the increase; after the hike; after the price rise; after the price increase; after the price hike; uptick; surge; surged; soar; soared; spike; spiked; trending up; edged up; gone up in cost; go up in cost; went up in cost""",
    Tag.DOWN: "decrease; decreases; decreased; decreasing; fall; falls; fell; fallen; go down; goes down; gone down; went down; going down; reduced; reduction; shrink; shrank; shrunk; decline; declined; got cheaper; get cheaper; become cheaper; come down; came down; down on; downwards; downward; down from; down compared to; down compared with; spending down; bill down; dropped; fewer than before; got smaller; getting cheaper; getting smaller; gotten cheaper; became cheaper; went down in price; gone down in price; go down in price; come down in price; came down in price; plunge; plunged; slump; slumped; dip; dipped; trending down; edged down; shrinking; cut its price; cut their prices; cut their price; cut its prices; lowered its price; lowered their prices; lowered their price; lower its price; lower their prices; drop its price; dropped its price; drop their prices; dropped their prices; after the cut; after the price cut; price cut; price cuts",
    Tag.CHANGE: "change; changes; changed; changing; differ; shift; shifted; vary; varied; evolve; evolved; develop; developed; different; movement; movements; % move; percent move; percentage move; % shift; percent shift; percentage shift; swing; evolution; fluctuate; fluctuated",
    Tag.PERCENT: "percent; how many percent; percentage; per cent; pct; %; share; proportion; fraction; portion; what part; ratio; what percentage; what percent; what share; as a percentage; in percent; as a percent; as a share; in percentage terms; as a proportion; as a fraction; percentage wise; slice; how big a slice; how large a slice; how big a share; how large a share; how big a chunk; how big a proportion; how big a portion; how big a part; what slice; which share; chunk; what chunk; percentage points; as a slice; % move; percent move; percentage move; % shift; percent shift; percentage shift",
    Tag.EXCEPT: "excluding; exclude; except; except for; without; not including; not counting; apart from; aside from; other than; besides; leaving out; leaving aside; ignoring; minus; not; bar; barring; outside of; if you exclude; if we exclude; if i exclude; discounting; disregarding; omitting; leave out; ignore; ex; net of",
    Tag.BEFORE: "the month before; the year before; the quarter before; the week before; month before; year before; the previous one; the time before; since last time; than last time; on last time; from last time; compared to last time; compared with last time; than usual; than before; than it was; than they were; than it used to; than they used to; than it used to be; than they used to be; than previously; than it once was; than at the start; than when i started; before last; the one before; vs prior; versus prior; against prior; compared to prior; compared with prior; vs the prior one; versus the prior one; vs previous; versus previous; vs the previous one; versus the previous one; against the previous one; vs the one before; versus the one before; against the one before; than the one before; than the previous one; than the last one; than the prior one; than prior; than previous; before that",
    Tag.YEAR_EARLIER: "a year ago; a year earlier; a year before; year on year; year over year; the same month last year; the same period last year; same period last year; the same time last year; same time last year; the same quarter last year; the same month a year ago",
    Tag.NET: """net; net income; net cash flow; net cashflow; cash flow; cashflow; net savings; net position; net result; left over; leftover; left at the end; surplus; deficit; shortfall; break even; broke even; in the red; in the black; come out ahead; came out ahead; end up ahead; ended up ahead; savings rate; net saving; net total;
        net amount; net flow; net change; profit; bottom line; ins and outs; left after; remain after; remained after; end up with; in pocket; out of pocket; in the clear; surplus or shortfall; surplus or deficit; deficit or surplus; shortfall or surplus; keep; kept; keep hold of; hang on to; hung on to; hold on to; held on to; left over after; pocketed; to the good; what is left; what was left; what remained; what remains""",
    Tag.NET_OF_REFUNDS: """net of refunds; net of any refunds; net of returns; after refunds; after returns; after any refunds; less refunds; minus refunds; less returns; minus returns; including refunds; counting refunds; deducting refunds; subtracting refunds; accounting for refunds;
        after deducting refunds; after subtracting refunds; net spend; net spending; net cost; net spent; net expenses; less any refunds; minus any refunds; taking refunds into account; once refunds are taken off; after taking off refunds; with refunds deducted""",
    Tag.OVERSPENT: """live beyond my income; lived beyond my income; living beyond my income; live beyond my means; lived beyond my means; live within my means; lived within my means; living within my means; live within our means; lived within our means; live beyond our means; lived beyond our means; living beyond my means;
        overspend; overspent; live within my income; live beyond our income; live within our income; spend beyond my means; spend beyond our means; spend within my means""",
    Tag.SINGLE: "in one go; at once; in one visit; in a single visit; in one transaction; in a single transaction; in one purchase; in a single purchase; one time; one go; at one time; single; in one day; in a go; in one hit; one off; individual; individually; a single; any single; each time; at a time; in one shop; in one sitting; lone; standalone; one single; per single",
    Tag.SPEND: """spend; spends; spent; spending; spendings; expenditure; expenditures; outlay; outlays; outgoings; outgoing; cost; costs; costing; costed; shell out; shelled out; fork out; forked out; fork over; forked over; splash out; splashed out; dish out; cough up; coughed up; lay out; laid out; set me back; set us back; setting me back; sets me back;
        blow; blew; blown; blowing; splurge; splurged; splash; splashed; burn; burned; burnt; burn through; burned through; went on; gone on; goes on; go on; going on; went towards; went toward; gone towards; go towards; goes towards; went into; went to; gone to; goes to; going to; swallowed up; ended up at; ended up with; end up at; parted with; part with; drop; dropped; dropping; chucked; handed over; hand over; hand to; handed to; handed; handing; got through; had off me; had off us; run me; run us; waste; wasted; money off me; dole out; doled out;
        gave; give; given; giving; outlaid; dedicated; devoted; allocated; sunk; sank; sink; throw; threw; thrown; poured; pour; invested; eaten up; get through; getting through; ate up; eats up; guzzled; took; taken; takes; take; taking; disbursed; consumed; shelling out; forking out; set you back; swallow; swallows; swallowed; swallowing; eat up; eating up; devour; devours; devoured; hoover up; hoovers up; hoovered up; gobble; gobbled; gobble up; gobbled up; gobbles up; absorb; absorbs; absorbed; soak up; soaked up; soaks up; drain; drained; drains; suck up; sucked up; sucks up; chew through; chewed through; hand; hands; plonked down; plunked down; plunk down; splashing out; dishing out; forked; fritter; frittered; fritter away; frittered away; squander; squandered; bill come to; cost of; costings; spends; paid out on; set our household back; lavished; lavish; disburse; disbursement; disbursements; laying out; expended; expend""",
    Tag.PAY: "pay; pays; paid; paying; payed; pay for; paid for; settle; settled; cough; billed; bill me; bills me; charge me; charges me; charged me; charge us; charged us; charging me; charge; charges; charged; charging; invoiced; repaid; repay; repaying; paid off; pay off; paying off; debited; was billed; been charged; been billed; pay towards; paid out; pay out; paid over; billing; billing me; billing us; bill us; bills us; billed us; billed me; charging us; sting; stings; stung; sting us; stung us; sting me; stung me; sting us for; sting me for; stung us for; stung me for; ding; dinged; ding me; dinged me; dinged us; whacked; clobbered; hit us; hit me; hits me; hits us; hit us with; hit me with; hit us for; hit me for; remit; remitted; cleared; clear; take from us; took from us; take from me; took from me; taken from us; taken from me; deducted; deduct",
    Tag.EXPENSES: "expenses; expense; costs me; outgoing payments",
    Tag.BUY: "buy; buys; bought; buying; shop; shopped; shopping trip; shopping at; shopping with; shopped at; ordered; order from; purchased; purchasing; patronise; patronised; patronize; patronized; get from; snapped up; picked up; deal with; dealt with; do business with; did business with",
    Tag.VISIT: "visit; visited; visiting; go; goes; went; gone; going; been; been to; went to; go to; gone to; been at; stop by; stopped by; stop at; stopped at; popped into; pop into; drop by; dropped by; dropped in; fill up; filled up; filling up; ride with; rode; rode with; dine; dined; dined at; eat at; ate at; eaten at; eating at; stayed; stay; stayed at; stay at; flown; flew; flew with; fly; travelled; traveled; was i at; was i last at; was i; were we at; nip to; nipped to; hit up; take; took; use; used; frequented; shop with; turn to; swing by; swung by",
    Tag.ONE: """purchase; purchases; payment; payments; pymt; pymts; order; orders; bill; bills; visit; visits; trip; trips; receipt; receipts; swipe; swipes; meal; meals; ride; rides; run; runs; shop; shops; fill up; fill ups; fillup; fillups; journey; journeys; booking; bookings; invoice; invoices; donation; donations; thing; things; one; debit; debits; charge; charges; outing; outings; treat; treats; splurges; instalment; instalments; installment; installments;
        stay; stays; premium; premiums; haul; hauls; tap; taps; spree; sprees; top up; top ups; session; sessions; withdrawals; withdrawal; appointment; appointments; buys; drink; drinks; ticket; something; repayment; repayments; spends; repeat visit; bill payment; bill payments; deduction; deductions; purchase tally; visit tally; trip tally; payment tally; order tally; purchase count; visit count; trip count; payment count; order count""",
    Tag.TRANSACTION: "transaction; transactions; txn; txns; trans; entry; entries; record; records; row; rows; posting; postings; activity; item on my statement; line item; line items; transaction tally; transactions tally; transaction count",
    Tag.INCOME: "income; incomes; earnings; earning; revenue; take home; take home pay; takehome; takings; incoming money; household income; receipts of money; credits",
    Tag.EARN: "earn; earned; earns; make; made; makes; making; bring in; brought in; bring home; brought home; bringing in; bringing home; pull in; pulled in; take home; took home; rake in; raked in; gross; grossed",
    Tag.PAID_ME: """get paid; got paid; gets paid; been paid; was i paid; were we paid; am i paid; are we paid; was i last paid; were we last paid; pay me; paid me; pays me; paying me; paid us; pay us; pays us; paid to me; paid into my account; i was paid; we were paid; getting paid; last get paid; gotten paid; last got paid; paid by my employer; have i been paid; have we been paid""",
    Tag.MONEY_IN: "money in; came in; come in; comes in; coming in; come into; came into; comes into; coming into; received; receive; receives; receiving; receipt; deposits; deposit; deposited; inflow; inflows; incoming; incomings; landed; land; hit my account; reached my account; got from; get from; gotten from; money from; entered; flowed in; arrive; arrived; arrives; credited; came through; come through; flow in; came from; come from; went into my account; go into my account; come into the account; came into the account; into my account; into our account; into the account; into my bank account; into our bank account; into the bank",
    Tag.MONEY_OUT: "money out; went out; go out; goes out; gone out; going out of; came out; come out; comes out; coming out; leave; left; leaving; outflow; outflows; left my account; leaves my account; leave my account; flow out; flowed out; payees; payee; flowed out; going out; goes out; pull; pulled; pull out; pulled out; draw; drew; drawn; draw out; drew out; drawn out; went out of my account; went out of our account; exit; exited",
    Tag.REFUND: """refund; refunds; refunded; refunding; reimburse; reimbursed; reimbursement; reimbursements; money back; got back; get back; gotten back; gets back; given back; gave back; give back; back from; returns; return; returned; chargeback; chargebacks; credited back; paid back; pay me back; come back; came back; sent back; rebate; rebates; rebated; refunds and returns; back in refunds; refund me; refunded me; gave me back; give me back;
        money returned; repaid me; money given back; handed back; hand back; give us back; gave us back; pay us back; paid us back; paid me back; refund us; refunded us; refund amount; refund amounts; refund total""",
    Tag.TRANSFER: """transfer; transfers; transferred; transferring; xfer; xfers; move; moved; moves; moving; put; puts; putting; put aside; put away; set aside; setting aside; stash; stashed; squirrel away; squirrelled away; squirreled away; tuck away; tucked away; send; sent; sends; sending; wire; wired; shift; shifted; salted away; sock away; socked away; zelle; zelled; venmoed; siphon; siphoned; siphon off; siphoned off; sweep; swept; moved over; move over; move across; moved across; shift across; shifted across; funnel; funnelled; funneled; contribute; contributed; contribution; contributions; pay into; paid into; paying into; salt away""",
    Tag.SAVE: "save; saved; saves; saving; managed to save; manage to save; put by",
    Tag.MONEY: "money; cash flow; dosh; cash; dough; funds; finances; financially; wallet; pocket; bank account; my account; our account; accounts; account; ledger; household; statement; statements; bank statement",
    Tag.RECURRING: """recurring; recur; recurs; recurrent; repeating; repeat; repeated; regular; regularly; standing order; standing orders; direct debit; direct debits; autopay; auto pay; autopays; fixed costs; fixed cost; fixed expenses; fixed; automatic; automatically; automatic payments; monthly bills; monthly payments; monthly commitments; monthly charges; monthly obligations; regular bills; regular payments; household bills each month;
        come out every month; comes out every month; goes out every month; go out every month; leave every month; leaves my account every month; scheduled; renew; renews; committed; commitments; commitment; obligations; auto renew; auto renewing; auto renewal; pay every month; paying every month; pay each month; paying each month; pay for every month; pay for each month; paying for every month; paying for each month; paying for monthly; standing monthly commitments; monthly standing commitments; standing commitments; standing payments; standing charges; outgoings every month""",
    Tag.SUBSCRIPTION: "subscription; subscriptions; subscribe; subscribed; subscribing; subs; sub; membership; memberships; subscription services; subscription service; subscribed to; signed up to; signed up for; member of; active subscriptions; streaming subscriptions; plan; plans; live subscriptions; live subscription; live subs; live memberships; ongoing subscriptions; ongoing subscription; running subscriptions; paid subscriptions; current subscriptions; current subs; subscriptions in force",
    Tag.PRICE: "price; prices; pricing; priced",
    Tag.START: "start; started; starts; begin; began; begun; first start; first started; sign up; signed up; join; joined; since when; commence; commenced; opened; took out; take out; how long have i been; how long have we been; starting; how long; start charging; started charging; start billing; started billing; begin billing; began billing; begin charging; began charging; first bill; first charge",
    Tag.STOP: "stop; stopped; end; ended; cancel; cancelled; canceled; quit; before i cancelled; before i canceled; cancelling; canceling; before it stopped; before i stopped; drop out; give up; gave up; ditch; ditched; finish; finished; stop charging; stopped charging; stop billing; stopped billing",
    Tag.TARGET: """savings; savings account; my savings; saving account; savings accounts; savings pot; rainy day fund; emergency fund; isa; brokerage; brokerage account; investments; investment; investment account; checking; checking account; current account; joint account; roth; ira; 401k; nest egg""",
    Tag.OTHER: """all time; of all time; all times; over time; lifetime; in my lifetime; to date; so far; since records began; on record; in the ledger; in my ledger; of the ledger; for the period; over the period; in that time; ever since; at all; at any time; at any point; at some point; at one point; on the whole; in question; for good; on earth; till now; until now; up to now; by now; right now; at the moment; give me; give us; after spending; after expenses; after my spending; after my expenses; after outgoings; after my outgoings; after all my spending; after all expenses; after costs; after paying everything; after everything; after i spent everything; after what i spent; since the beginning; from the beginning; since i started; since we started; since the start; from the start; of mine; not counting anything; these days; time round;
        in my account; from my account; in the bank; on the books; on file; in the data; in my data; in my transactions; in my history; hitherto; in total so far; in the whole ledger; whole ledger; the lot; off my account; out of my account; of my money; of our money; my money; our money; year so far; time of; fall under; falls under; fell under; fallen under; come under; comes under; came under; fall into; falls into; fell into; fall within; falls within; fell within; fall in; fell in; fall on; falls on; fell on; classed as; classed under; classified as; classified under; categorised as; categorized as; categorised under; categorized under; filed under; filed as; booked as; booked under; tagged; tagged as; tagged with; labelled; labeled; labelled as; labeled as; counted as; count as; counts as; counted under; under the heading; under the heading of; under the category; make up; makes up; made up; making up; made up of; comprise; comprises; comprised; constitute; constitutes; constituted; consist of; consists of; consisted of; account for; accounts for; accounted for; out of the bank; from the bank; from my bank; from our bank; out of my bank; top up; topped up; topping up; tops up; to hand; in all my records; since day one; from day one; in living memory; off us; off me; up until today; up until now; until today; till today; of late; as things stand; as of today; as of now; today's date; inclusive; to our name; to my name; of the bank; of my bank; of our bank""",
}  # fmt: skip

MADE: Final[dict[Tag, str]] = {
    Tag.UP: wordforms.RAISED, Tag.DOWN: wordforms.LOWERED, Tag.RECURRING: wordforms.RETURNS, Tag.MONEY_IN: wordforms.ACCOUNT_HIT,
    Tag.NET: wordforms.NET_OF_SPENDING,
}  # fmt: skip

GROUPS: Final[dict[str, str]] = {
    "merchant": "merchant; merchants; store; stores; retailer; retailers; vendor; vendors; payee; payees; place; places; company; companies; business; businesses; supplier; suppliers; brand; brands; outlet; outlets; seller; sellers; shop; shops; provider; providers; biller; billers; establishment; establishments; chain; chains; shopkeepers; joint; joints; source; sources; payer; payers; employer; employers",
    "category": "category; categories; categorys; area; areas; type of spending; types of spending; kind of spending; kinds of spending; sort of spending; spending type; spending types; spending category; spending categories; expense category; expense categories; budget categories; by category; type of expense; types of expense; types of expenses; spending areas; spending area; heading; headings; group; groups",
    "weekday": "day of the week; which day of the week; what day of the week; on which day of the week; on what day of the week; which days of the week; what days of the week; days of the week; weekday; which weekday; what weekday; day of week; days of week",
    "day": "day; days; single day; different days; distinct days; separate days; calendar day; calendar days; date with; individual days; unique days",
    "week": "week; weeks; calendar week; calendar weeks",
    "month": "month; months; calendar month; calendar months; different months; distinct months; separate months",
    "quarter": "quarter; quarters",
    "year": "year; years; calendar year",
}  # fmt: skip

_UNIT_WORDS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"}
PER: Final[dict[str, str]] = {
    unit: "; ".join(
        [
            *(f"{each} {unit}" for each in ("per", "a", "an", "each", "every", "by the", "divided by", "per calendar", "in an average", "in a typical", "in a normal", "in an ordinary", "over a typical", "for each", "in each", "in a", "per single", "a single", "p/", "each and every", "any given", "in any given", "in the average", "in the typical", "a typical", "a normal", "an average", "of every", "of each", "in every")),
            f"divided by {unit}s", f"divided by the {unit}s", f"divided by the number of {unit}s", f"divided by number of {unit}s",
            adverb, *{"year": ("annual", "annually", "per annum", "pa", "p.a", "annualised", "annualized"), "month": ("averaging by month", "averaged by month", "pcm", "month on average", "p.m", "on a monthly basis", "per mth", "monthly basis"), "week": ("pw", "on a weekly basis"), "day": ("on a daily basis",)}.get(unit, ()),
        ]
    )
    for unit, adverb in _UNIT_WORDS.items()
} | {
    "transaction": "; ".join(
        f"{each} {one}"
        for each in ("per", "each", "every", "a")
        for one in "transaction; purchase; visit; trip; order; meal; ride; charge; payment; paycheck; fill up; time; deposit; refund; bill; donation; shop; go; stay; receipt; withdrawal; journey; pop; flight; session; haul; coffee; transfer; delivery; cup; paycheque; run; tank; booking".split("; ")
        if (each, one) not in {("a", one) for one in ("time", "bill", "charge", "coffee", "meal", "refund", "deposit", "withdrawal", "donation", "payment", "transfer", "transaction", "purchase", "ride", "order", "flight", "run", "booking", "paycheck", "paycheque", "delivery")}
    )
}  # fmt: skip

# Words of a sentence's build and of politeness: they say nothing about what is asked.
FILLER: Final = frozenset(
    """a an the as between over of on at in for to from with by into onto out upon off per via through during within throughout around about across as it its it's that this these those there here then i me my mine myself we us our ours ourselves you your he she they them their
    do did does doing done have has had having was were is are am be been being would could can might shall please kindly thanks thank ta cheers hi hello hey hiya ok okay right so well er um erm uh hmm now just really actually basically simply exactly precisely roughly approximately approx
    approximate rough exact ish ballpark circa quick quickly question tell know want wanted like liked love wonder wondering curious interested give show let lets see say said says need help check work calculate compute figure find finding get gets got getting gotten gives if whether ever also too already yet still even far date up down only saw seen appear appears appeared issue issued crop crops
    much many lot lots bit kind sort ago once again back away both thing stuff such own else whole full complete entire different various certain particular specific specifically separately individually per respectively etc active currently current
    any some all every each one ones anyone anybody anything everything something period time long look looking seem seems seemed happen happened happens think thought reckon believe guess mean means tends tend
    last's month's year's i'm i've i'd i'll dont didnt what's that's how's gimme lemme wanna gotta pls plz hav dat da ya yo mate buddy sir sorry excuse apparently anyway though however but y'know innit altogether maybe perhaps ideally possible possibly report reported using use based according
    purpose purposes purely personal personally household's turns turn turned end ended put lately nowadays terms respect regard regarding concerning related relating relation sake tune name named called
    behind responsible kindly state stated provide supply confirm telling true truth honestly literally concerned happy grateful appreciate appreciated answer answers calc folks guys curiosity regards incidentally btw asap fyi remind recall remember isn wasn didn don doesn haven hasn not""".split()
)  # fmt: skip


CURRENCIES: Final = {
    "dollars": "USD", "dollar": "USD", "usd": "USD", "bucks": "USD", "euros": "EUR", "euro": "EUR", "eur": "EUR", "pounds": "GBP", "pound": "GBP", "gbp": "GBP", "quid": "GBP", "sterling": "GBP", "yen": "JPY", "jpy": "JPY", "francs": "CHF", "chf": "CHF",
    "cad": "CAD", "aud": "AUD", "sek": "SEK", "kronor": "SEK", "mxn": "MXN", "pesos": "MXN", "inr": "INR", "rupees": "INR", "brl": "BRL", "reais": "BRL",
}  # fmt: skip
