"""What everyday words mean in terms of the ledger: categories, and words in a row's own text that narrow them. Data."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TRANSFERS: Final = frozenset({"TRANSFER_IN", "TRANSFER_OUT"})


@dataclass(frozen=True, slots=True)
class Topic:
    """A thing that money goes to: rows of ``categories`` whose text has one of ``only`` (where given) and none of
    ``without``."""

    name: str
    categories: frozenset[str]
    only: re.Pattern[str] | None = None
    without: re.Pattern[str] | None = None


def _any(words: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b{word}" for word in words.split("; ")), re.IGNORECASE)


_GROCERS: Final = _any(
    "whole ?foods?; wholefds; trader joe; safeway; kroger; publix; albertsons; vons\\b; ralphs\\b; food lion; aldi\\b; lidl\\b; wegmans; sprouts; h-?e-?b\\b; hy-?vee; winco; meijer; tesco; sainsbury; asda\\b; morrisons; waitrose;"
    " carrefour; rewe\\b; edeka; kaufland; albert heijn; grocer; supermarket; food ?mart; fresh market; farmers.? market; market basket; green ?grocer; instacart; fairway; giant food; stop ?(?:&|and)? ?shop; shoprite; harris teeter; jewel;"
    " food ?land; market\\b; foods\\b; provisions; pantry; co-?op\\b; produce\\b; costco; sam.?s club; penny\\b; netto\\b; monoprix; mercadona; migros; loblaws; corner store; deli market; bodega; butcher"
)
_COFFEE: Final = _any(
    "coffee; caf[eé]; starbucks; sbux; dunkin; peet.?s; blue bottle; philz; espresso; roaster; tim hortons; costa\\b; pret\\b; dutch bros"
)
_FUEL: Final = _any(
    "shell\\b; chevron; exxon; mobil\\b; bp\\b; arco\\b; texaco; valero; sunoco; citgo; speedway; gas\\b; fuel; petrol; wawa; circle ?k; 76\\b; esso\\b; aral\\b; total ?energies; conoco; marathon; phillips; sinclair; gulf\\b; quiktrip; racetrac"
)
_RENT: Final = _any(
    "rent\\b; rental; apartment; apts?\\b; propert; landlord; lease; realty; residen; housing; miete; tenan; lofts; manor; homes\\b; estates?\\b; management; mgmt; living\\b; condo"
)
_RIDES: Final = _any("uber\\b(?! ?eats); lyft; taxi; cab\\b; bolt\\b; curb\\b; waymo; cabify; grab\\b; free ?now")
_DELIVERY: Final = _any(
    "doordash; door dash; uber ?\\*? ?eats; grubhub; deliveroo; just ?eat; postmates; seamless; delivery"
)
_STREAMING: Final = _any(
    "netflix; hulu; disney; hbo; max\\b; peacock; paramount; spotify; pandora; apple music; apple tv; apple\\.com/bill; youtube; tidal; audible; crunchyroll; prime video; deezer; sling; fubo; showtime; starz; stream"
)

_ALL_SPEND: Final = frozenset(
    """LOAN_PAYMENTS BANK_FEES ENTERTAINMENT FOOD_AND_DRINK GENERAL_MERCHANDISE HOME_IMPROVEMENT MEDICAL PERSONAL_CARE
    GENERAL_SERVICES GOVERNMENT_AND_NON_PROFIT TRANSPORTATION TRAVEL RENT_AND_UTILITIES""".split()
)


def _topic(
    name: str, categories: str, only: re.Pattern[str] | None = None, without: re.Pattern[str] | None = None
) -> Topic:
    return Topic(name, frozenset(categories.split()) if categories else _ALL_SPEND, only, without)


# Phrase of the question → topic. Longer phrases are tried first; a phrase matches whole words, plural or not.
_PHRASES: Final[tuple[tuple[str, Topic], ...]] = (
    ("food and drinks?|food (?:&|n) drinks?|food_and_drink|food drink|food", _topic("food and drink", "FOOD_AND_DRINK")),
    ("groceries|grocery(?: shopping| stores?| bills?)?|supermarkets?|food shopping|grocer(?:ie)?s", _topic("groceries", "FOOD_AND_DRINK GENERAL_MERCHANDISE", _GROCERS)),
    ("eating out|eat(?:en)? out|dining(?: out)?|restaurants?(?: meals?)?|dine(?:d)? out|take-?out|takeaways?|ate out|meals out|lunch(?:es)? out|eateries", _topic("eating out", "FOOD_AND_DRINK", None, _GROCERS)),
    ("coffees?(?: shops?| houses?)?|caf[eé]s?|lattes?|espressos?", _topic("coffee", "FOOD_AND_DRINK", _COFFEE)),
    ("food delivery|delivery(?: apps?| food)?|delivered food", _topic("food delivery", "", _DELIVERY)),
    ("fast food|burgers?", _topic("fast food", "FOOD_AND_DRINK", _any("mcdonald; burger; wendy; taco bell; kfc\\b; popeyes; chick-?fil-?a; five guys; shake shack; in-?n-?out; subway; domino; pizza; arby; sonic; chipotle"))),
    ("pizzas?", _topic("pizza", "FOOD_AND_DRINK", _any("pizz; domino; papa john; little caesar"))),
    ("alcohol|booze|liquor|wine|beer|bars?|pubs?|drinks at bars", _topic("drinks", "FOOD_AND_DRINK", _any("liquor; wine; beer; brew; bar\\b; pub\\b; tavern; spirits; bevmo; cellar"))),
    ("gas stations?|gasoline|petrol|fuel|gas(?! bill| and electric| & electric| compan)|fill(?:ing)? up(?: the car)?|fill-?ups?", _topic("fuel", "TRANSPORTATION", _FUEL)),
    ("ride ?shar\\w+|rides?|taxis?|cabs?|ride-hailing", _topic("rides", "TRANSPORTATION TRAVEL", _RIDES)),
    ("parking|car parks?", _topic("parking", "TRANSPORTATION", _any("park"))),
    ("public transport(?:ation)?|public transit|transit|subways?|bus(?:es)?|trains?|metro|commut\\w+", _topic("public transport", "TRANSPORTATION TRAVEL", _any("transit; metro; mta\\b; bart\\b; clipper; rail; train; bus\\b; tfl\\b; subway; muni\\b; transport; amtrak; caltrain; ventra; septa; commuter"))),
    ("tolls?", _topic("tolls", "TRANSPORTATION", _any("toll; fastrak; e-?z ?pass; sunpass"))),
    ("car(?: costs| expenses)?|transport(?:ation)?|getting around|travel(?:l)?ing to work", _topic("transportation", "TRANSPORTATION")),
    ("rent and utilities|rent & utilities|rent_and_utilities|housing(?: costs)?|bills and rent", _topic("rent and utilities", "RENT_AND_UTILITIES")),
    ("rent(?:al payments?)?|my landlord|the landlord|landlord|apartment|my flat", _topic("rent", "RENT_AND_UTILITIES", _RENT)),
    ("utilit(?:y|ies)(?: bills?)?|household bills", _topic("utilities", "RENT_AND_UTILITIES", None, _RENT)),
    ("electric(?:ity|al)?(?: bills?| company)?|power(?: bills?| company)?|gas and electric|gas & electric|gas bills?|energy(?: bills?)?|heating", _topic("energy", "RENT_AND_UTILITIES", _any("electric; power; energy; pg&?e; con ?ed; edison; gas\\b; duke; stadtwerke; grid; light\\b; edf\\b; dominion; utility; utilities; eversource; pse&?g; hydro"))),
    ("water(?: bills?)?|sewage|sewer", _topic("water", "RENT_AND_UTILITIES", _any("water; sewer; aqua"))),
    ("internet(?: bills?| service)?|broadband|wi-?fi|cable(?: bills?)?", _topic("internet", "RENT_AND_UTILITIES GENERAL_SERVICES ENTERTAINMENT", _any("internet; comcast; xfinity; spectrum; cox\\b; fiber; fibre; broadband; cable; fios; sonic\\b; optimum; centurylink; frontier; starlink; isp\\b; telekom"))),
    ("(?:cell|mobile|tele)?\\s?phone(?: bills?| plans?| service| company)?|mobile(?: bill| plan)?|wireless(?: bill)?|cell(?: bill| plan)", _topic("phone", "RENT_AND_UTILITIES GENERAL_SERVICES", _any("verizon; at&?t\\b; t-?mobile; sprint; mint mobile; mobile; wireless; phone; cricket; vodafone; telekom; o2\\b; tello; visible; google fi; cellular"))),
    ("trash|garbage|waste(?: management)?", _topic("waste", "RENT_AND_UTILITIES", _any("waste; trash; garbage; recology; republic services; disposal"))),
    ("medical(?: bills?| expenses| costs)?|health(?: ?care)?(?: costs| expenses)?|doctors?(?: visits?| bills?)?|medicine|hospitals?|clinics?|physicians?", _topic("medical", "MEDICAL")),
    ("pharmac(?:y|ies)|drug ?stores?|prescriptions?|meds|medications?|chemists?", _topic("pharmacy", "MEDICAL GENERAL_MERCHANDISE", _any("pharm; cvs\\b; walgreens; rite aid; drug; boots\\b; apothe; prescri"))),
    ("dentists?|dental(?: care| bills?)?|orthodontist", _topic("dentist", "MEDICAL", _any("dent; ortho; smile"))),
    ("opticians?|glasses|eye ?care|eye doctor|vision", _topic("eye care", "MEDICAL", _any("optic; optom; vision; eye; lens; warby; glasses"))),
    ("vets?|veterinar\\w+|pets?|dogs?|cats?", _topic("pets", "", _any("vet\\b; veterin; pet\\b; pets\\b; petco; petsmart; chewy; banfield; animal; paws; dog\\b"))),
    ("streaming(?: services?)?|tv(?: subscriptions?)?|music(?: streaming)?", _topic("streaming", "ENTERTAINMENT GENERAL_SERVICES", _STREAMING)),
    ("movies?|cinemas?|film(?:s)?|movie theat(?:er|re)s?", _topic("cinema", "ENTERTAINMENT", _any("amc\\b; cinema; theat; regal; movie; fandango; alamo; odeon; film; cinemark"))),
    ("(?:video ?)?games?|gaming", _topic("games", "ENTERTAINMENT", _any("steam; playstation; xbox; nintendo; game; epic; riot; roblox; blizzard"))),
    ("concerts?|gigs|live music|tickets|events?", _topic("tickets", "ENTERTAINMENT", _any("ticket; stubhub; live nation; eventbrite; seatgeek; axs\\b; concert"))),
    ("entertainment|fun|leisure|going out|hobb(?:y|ies)", _topic("entertainment", "ENTERTAINMENT")),
    ("shopping|general merchandise|general_merchandise|merchandise|retail(?: shopping)?|online shopping|stuff", _topic("shopping", "GENERAL_MERCHANDISE")),
    ("cloth(?:es|ing)|apparel|fashion|shoes?|outfits?", _topic("clothing", "GENERAL_MERCHANDISE", _any("cloth; apparel; h&m\\b; zara\\b; uniqlo; gap\\b; old navy; nike\\b; adidas; shoe; nordstrom; macy; fashion; wear\\b; levi; j\\.? ?crew; lululemon; boutique; foot ?locker; tj ?maxx; marshalls; patagonia; everlane"))),
    ("electronics|gadgets|computers?|tech", _topic("electronics", "GENERAL_MERCHANDISE", _any("best buy; apple store; micro ?center; newegg; electronic; b&h; dell\\b; lenovo; samsung; gamestop; computer"))),
    ("books?|bookstores?|bookshops?", _topic("books", "GENERAL_MERCHANDISE ENTERTAINMENT", _any("book; barnes; kindle; audible; waterstones; powell"))),
    ("home improvements?|home_improvement|diy|hardware(?: stores?)?|home repairs?|renovations?|house projects|the house|garden(?:ing)?", _topic("home improvement", "HOME_IMPROVEMENT")),
    ("furniture|furnishings?", _topic("furniture", "HOME_IMPROVEMENT GENERAL_MERCHANDISE", _any("ikea; wayfair; furniture; west elm; crate; pottery barn; ashley; mattress; sofa"))),
    ("personal care|personal_care|beauty|grooming|self-?care|cosmetics", _topic("personal care", "PERSONAL_CARE")),
    ("gyms?(?: memberships?)?|fitness(?: classes)?|work(?:ing)? ?outs?|yoga", _topic("fitness", "PERSONAL_CARE ENTERTAINMENT", _any("gym; fitness; planet fit; yoga; equinox; crossfit; pilates; ymca; orangetheory; peloton; soulcycle; barre\\b; athletic; 24 hour; classpass"))),
    ("hair ?cuts?|hairdressers?|hair(?: salons?)?|barbers?|salons?", _topic("hair", "PERSONAL_CARE", _any("hair; barber; salon; cuts\\b; clips\\b; supercuts; stylist"))),
    ("insurance(?: premiums?)?|premiums", _topic("insurance", "GENERAL_SERVICES MEDICAL RENT_AND_UTILITIES TRANSPORTATION LOAN_PAYMENTS", _any("insur; geico; state farm; allstate; progressive; usaa; lemonade; mutual; assurance; allianz; axa\\b; nationwide; travelers"))),
    ("child ?care|day ?care|nanny|babysitt\\w+|preschool|kindergarten", _topic("childcare", "GENERAL_SERVICES", _any("child; day ?care; nanny; babysit; preschool; kinder; montessori; bright horizons"))),
    ("tuition|education|school|college|university|courses?", _topic("education", "GENERAL_SERVICES", _any("tuition; school; college; univers; course; academy; udemy; coursera; education; learn"))),
    ("car repairs?|mechanics?|auto repairs?|car maintenance|oil changes?", _topic("car repair", "GENERAL_SERVICES TRANSPORTATION", _any("jiffy; valvoline; midas; meineke; auto; tire; mechanic; garage; repair; firestone; pep boys"))),
    ("laundry|dry cleaning|cleaners?", _topic("laundry", "GENERAL_SERVICES PERSONAL_CARE", _any("laund; clean; wash"))),
    ("general services|general_services|services", _topic("services", "GENERAL_SERVICES")),
    ("charit(?:y|ies|able)(?: donations| giving| causes)?|donations?|donat(?:e|ed|ing)|non-?profits?|giving", _topic("donations", "GOVERNMENT_AND_NON_PROFIT", _any("charit; donat; red cross; unicef; foundation; fund\\b; relief; habitat; church; npr\\b; wikimedia; goodwill; mission; aclu; doctors without; oxfam; salvation; non-?profit; society; shelter; rescue"))),
    ("tax(?:es)?(?: payments?)?|hmrc", _topic("taxes", "GOVERNMENT_AND_NON_PROFIT GENERAL_SERVICES", _any("tax; irs\\b; franchise; hmrc; revenue; treasury; finanzamt; ftb\\b"))),
    ("government(?: fees?| services?)?|government and non-?profit|government_and_non_profit|dmv|fines?|government and charity", _topic("government and non-profit", "GOVERNMENT_AND_NON_PROFIT")),
    ("flights?|air ?fares?|airlines?|plane tickets?|flying|airfare", _topic("flights", "TRAVEL", _any("air\\b; airline; airways; delta; united; southwest; jetblue; lufthansa; ryanair; easyjet; spirit\\b; alaska; frontier; flight; british air; klm\\b; aero"))),
    ("hotels?|lodging|accommodation|airbnbs?|motels?", _topic("lodging", "TRAVEL", _any("hotel; inn\\b; marriott; hilton; hyatt; airbnb; motel; resort; lodge; suites; vrbo; booking; expedia; westin; sheraton; hostel"))),
    ("travel(?:ling|ing)?(?: costs| expenses)?|(?:on|for|my) trips?(?! to)|vacations?|holidays|holiday travel", _topic("travel", "TRAVEL")),
    ("mortgage(?: payments?)?|home loan", _topic("mortgage", "LOAN_PAYMENTS RENT_AND_UTILITIES", _any("mortgage; home loan; mtg\\b; hypo; quicken; rocket"))),
    ("car (?:loans?|payments?|finance)|auto loans?(?: payments?)?", _topic("car loan", "LOAN_PAYMENTS", _any("auto; car\\b; motor; toyota; honda; ford; vehicle"))),
    ("student loans?(?: payments?)?|student debt", _topic("student loan", "LOAN_PAYMENTS", _any("student; navient; nelnet; sallie; sofi; edu; fedloan; mohela; great lakes; dept? of ed"))),
    ("credit card (?:payments?|bills?)|card payments|paying off (?:my )?credit cards?", _topic("credit card payments", "LOAN_PAYMENTS", _any("card; visa; mastercard; amex; american express; discover; capital one; chase; citi; crd\\b; barclay; synchrony"))),
    ("loans?(?: payments?| repayments?)?|debts?(?: payments?)?|loan_payments|debt repayments?", _topic("loan payments", "LOAN_PAYMENTS")),
    ("atm fees?", _topic("ATM fees", "BANK_FEES", _any("atm"))),
    ("overdrafts?(?: fees?)?", _topic("overdraft fees", "BANK_FEES", _any("overdraft; od\\b; nsf\\b; insufficient"))),
    ("foreign (?:transaction|exchange)? ?fees?|fx fees?", _topic("foreign transaction fees", "BANK_FEES", _any("foreign; fx\\b; intl; international; conversion"))),
    ("interest charges?|interest (?:paid|expense)|(?:pay|paid|paying) (?:in )?interest", _topic("interest charges", "BANK_FEES LOAN_PAYMENTS", _any("interest; finance charge"))),
    ("bank(?:ing)? (?:fees?|charges?|costs?)|bank_fees|fees?|service charges?|account fees?|maintenance fees?", _topic("bank fees", "BANK_FEES")),
)  # fmt: skip

TOPICS: Final = tuple((re.compile(rf"(?<![\w-])(?:{phrase})(?![\w-])"), topic) for phrase, topic in _PHRASES)

READABLE: Final = {
    "GOVERNMENT_AND_NON_PROFIT": "government and non-profit",
    "GENERAL_MERCHANDISE": "general merchandise (shopping)",
}


def readable(category: str) -> str:
    """A category's name in plain words."""
    return READABLE.get(category) or category.replace("_", " ").lower() or "uncategorised"


# Words that carry the question, never what it is about: what is left of a question after them names a merchant.
STOP_WORDS: Final = frozenset(
    """a about above across actually ago all also altogether always am amount amounts an and any anything are around as at average avg back be been before being below between bill bills
    biggest bought buy by buying came can cash charge charged charges cheapest come comes compare compared comparison cost costs costing count could currency day days debit deposit deposits did difference different do does done
    down during each earn earned earning earnings either else entire ever every everything exactly expenditure expenditures expense expenses expensive far few find first for frequently from gave get gets getting give go goes
    going gone got grand great greater had has have having her here highest him his hit how however i id if im in income incoming into is it its ive items just kind know large larger
    largest last latest least less like list look lot low lower lowest made make making many max maximum me mean median merchant merchants min minimum minus monday money month monthly months more most
    much my need net new next no not number of off often on once one ones only or order ordered orders other our out outgoing outgoings over overall own paid part past pay paying payment payments people per percent percentage
    period place places please previous price prices purchase purchased purchases put quarter question quick receive received recent recently recurring refund refunded refunds return returned returns row rows run same sent send sending separately shop
    shops show since single small smaller smallest so some spend spending spends spendings spent standing store stores sum summarise summarize subscription subscriptions tell than that the their them then there these they thing things
    third this those through till time times to today together top total totals toward towards trans transaction transactions transfer transferred transfers trend twice typical typically under until up us use used usual usually value vendor vendors
    versus via visit visited visiting visits vs was way we week weekly weeks went were what whats when where whether which who whom whose why will with within without would year yearly years yesterday yet you your
    account accounts balance category categories household ledger share fraction proportion mine myself month's hello hi hey okay ok thanks thank want wondering wonder see let lets help finding calculate compute display report breakdown break
    tuesday wednesday thursday friday saturday sunday weekday weekdays weekend weekends daily day's second fourth fifth individual entry entries record records history trip trips grew grow increase increased decrease decreased
    rise rose fall fell changed change changes drop dropped higher cheaper salary salaries paycheck paychecks payroll wage wages pays move moved moving much? withdraw withdrew withdrawal withdrawals dollars dollar euro euros eur usd gbp
    bucks pounds pound rather estimated roughly approximately approx altogether? full complete according based data using give? shown basis still currently usually? cash-flow cashflow flow inflow inflows outflow outflows came? saved save saving cover come?
    something anywhere somewhere someone nothing both end start began begin beginning out? happen happened occur occurred exceed exceeded exceeding least? fewer too really ended half two three four five six seven eight nine ten
    ones? separate combined combine added add plus stuff? regularly regular repeated repeating renew renews memberships membership autopay fixed card cards credit bank statement statements posted post say said does? name named called
    reimbursed reimbursement reimbursements credited credits debited debits activity kinds type types sort sorts order? sorted rank ranked descending ascending date dates each? my? paid? payout payouts payer payers employer employers job work""".replace("?", "").split()
)  # fmt: skip
