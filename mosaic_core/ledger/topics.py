"""What everyday words mean in terms of the ledger: categories, and words in a row's own text that narrow them. Data."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Final

from mosaic_core.ledger.query import Flow

TRANSFERS: Final = frozenset({"TRANSFER_IN", "TRANSFER_OUT"})


@dataclass(frozen=True, slots=True)
class Topic:
    """A thing that money goes to or comes from: rows of ``categories`` whose text has one of ``only`` (where given) and
    none of ``without``. ``flow`` is the money that it is about where that is not spending."""

    name: str
    categories: frozenset[str]
    only: re.Pattern[str] | None = None
    without: re.Pattern[str] | None = None
    flow: Flow | None = None


def _any(words: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b{word.strip()}" for word in words.split(";")), re.IGNORECASE)


_GROCERS: Final = _any(
    "whole ?foods?; wholefds; trader joe; safeway; kroger; publix; albertsons; vons\\b; ralphs\\b; food lion; aldi\\b; lidl\\b; wegmans; sprouts; h-?e-?b\\b; hy-?vee; winco; meijer; tesco; sainsbury; asda\\b; morrisons; waitrose; ocado; iceland\\b; co-?op\\b; booths\\b; budgens; farmfoods; m&s (?:simply )?food; marks.{1,5}spencer food; spar\\b; centra\\b; londis; nisa\\b;"
    "dunnes; supervalu; super valu; mace\\b; carrefour; rewe\\b; edeka; kaufland; netto\\b; penny\\b; albert heijn; jumbo\\b; delhaize; colruyt; leclerc; intermarche; auchan; monoprix; mercadona; migros; coop\\b; billa\\b; conad; esselunga; loblaws; sobeys; metro market; woolworths; coles\\b; grocer; supermarket; food ?mart; fresh market; farmers.? market; market basket; green ?grocer; instacart; fresh ?direct; fairway; giant (?:food|eagle); stop ?(?:&|and)? ?shop;"
    "shoprite; harris teeter; jewel; piggly; winn.?dixie; food ?land; market\\b; foods\\b; provisions; pantry; produce\\b; costco wh; costco(?! (?:gas|annual|member)); sam.?s club; fred meyer; smart ?& ?final; hannaford; h mart; 99 ranch; corner store; deli market; bodega; butcher; bakery outlet"
)
_COFFEE: Final = _any(
    "coffee; caf[eé]; caff[eè]; starbucks; sbux; dunkin; peet.?s; blue bottle; philz; espresso; roaster; tim hortons; costa\\b; pret\\b; dutch bros; butlers; nero\\b; gail.?s; insomnia; caribou; la colombe; stumptown; intelligentsia; joe & the juice; black sheep; esquires"
)
_FUEL: Final = _any(
    "shell\\b; chevron; exxon; mobil\\b; bp\\b; arco\\b; texaco; valero; sunoco; citgo; speedway; gas\\b; fuel; petrol; wawa; sheetz; circle ?k; 76\\b; esso\\b; aral\\b; total ?energies; conoco; marathon; phillips; sinclair; gulf\\b; quik ?trip; racetrac; applegreen; maxol; topaz; jet\\b; murphy usa; casey.?s; kwik trip; maverik; love.?s travel; pilot\\b; flying j; petro; repsol; agip; eni\\b; omv\\b; q8\\b; cepsa; galp; filling station; service station; costco gas"
)
_RENT: Final = _any(
    "rent\\b; rental; apartment; apts?\\b; propert; landlord; lease; letting; realty; residen; housing; miete; tenan; lofts; manor; homes\\b; estates?\\b; management; mgmt; living\\b; condo; foxtons; zillow; flats?\\b"
)
_NOT_RENT: Final = _any(
    "waste; energy; power; electric; water; gas\\b; council; broadband; internet; mobile; phone; utilit; fiber; fibre; bins?\\b; trash"
)
_RIDES: Final = _any(
    "uber\\b(?! ?\\*? ?eats); lyft; taxi; cabs?\\b; bolt\\b; curb\\b; waymo; cabify; grab\\b; free ?now; addison lee; gett\\b; ola\\b; didi\\b"
)
_DELIVERY: Final = _any(
    "doordash; door dash; uber ?\\*? ?eats; grubhub; deliveroo; just ?eat; postmates; seamless; delivery; caviar; gopuff; foodora; glovo; wolt; lieferando; thuisbezorgd; hellofresh; hungry ?house; menulog"
)
_STREAMING: Final = _any(
    "netflix; hulu; disney; hbo; max\\b; peacock; paramount; spotify; pandora; apple music; apple tv; youtube; tidal; audible; crunchyroll; prime video; deezer; sling; fubo; showtime; starz; stream; now ?tv; britbox; discovery\\+?; espn; mubi; dazn"
)
_CARD: Final = re.compile(
    r"\b(?:credit ?)?(?:card|crd|cc)\b.{0,20}\b(?:payment|pymt|pmt|autopay|epay|payoff)|\b(?:payment|pymt|pmt|autopay|epay)\b.{0,20}\b(?:credit ?)?(?:card|crd|cc)\b|\bcredit (?:card|crd)\b|\b(?:amex|american express|mastercard|visa|discover|barclaycard|capital one|citi(?:bank)?|synchrony|chase card)\b.{0,20}\b(?:payment|pymt|pmt|autopay|epay|bill)|\bpayment received\b|\bpayment thank you\b",
    re.IGNORECASE,
)
_CASH: Final = re.compile(
    r"\batm\b(?!.{0,12}\b(?:fee|surcharge|charge)\b)|\bcash (?:withdrawal|wdl|w/d|machine|advance)|\bcash ?point\b|\bwithdrawal\b",
    re.IGNORECASE,
)
_NOT_CASH: Final = re.compile(r"\bfees?\b|\bsurcharge\b|\bdeposit\b", re.IGNORECASE)
_EXTRA_INCOME: Final = _any(
    "interest; int\\b; dividend; benefit; refund; tax ref; irs\\b; treas; hmrc; rebate; cashback; cash back; pension; social security; ssa\\b; unemployment; rent\\b; ebay; etsy; gift; reward; stimulus; allowance"
)

_ALL_SPEND: Final = frozenset(
    """LOAN_PAYMENTS BANK_FEES ENTERTAINMENT FOOD_AND_DRINK GENERAL_MERCHANDISE HOME_IMPROVEMENT MEDICAL PERSONAL_CARE
    GENERAL_SERVICES GOVERNMENT_AND_NON_PROFIT TRANSPORTATION TRAVEL RENT_AND_UTILITIES""".split()
)


def card_payment(text: str) -> bool:
    """Whether a row's text says that a credit card's bill was paid: the purchases on the card were the spending."""
    return _CARD.search(text) is not None


def _topic(
    name: str,
    categories: str,
    only: re.Pattern[str] | None = None,
    without: re.Pattern[str] | None = None,
    flow: Flow | None = None,
) -> Topic:
    return Topic(name, frozenset(categories.split()) if categories else _ALL_SPEND, only, without, flow)


_INSURERS: Final = _any(
    "insur; geico; state farm; allstate; progressive; usaa; lemonade; mutual; assurance; allianz; axa\\b; nationwide ins; travelers; aviva; admiral; direct line; churchill; hastings; lv=?\\b; zurich; hiscox; metlife; prudential; aflac; esurance; amica; vhi\\b; laya; bupa; farmers"
)


def insurer(text: str) -> bool:
    """Whether a row's text names an insurer."""
    return _INSURERS.search(text) is not None


def _joined(*parts: str) -> str:
    return "; ".join(
        " ".join(words).replace("  ", " ").strip() for words in product(*(part.split("|") for part in parts))
    )


_CASH_TAKEN: Final = _joined(
    "pull|pulled|draw|drew|drawn|draw out|drew out|pull out|pulled out|take|took|taken|take out|took out|taken out|withdraw|withdrew|withdrawn|get|got",
    "from|out of",
    "the|my|our|",
    "bank|atm|atms|cash machine|cash machines|cashpoint|cashpoints",
)


# Phrases of the question → topic. The longest phrase at a place wins.
_PHRASES: Final[tuple[tuple[str, Topic], ...]] = (
    ("food and drink; food and drinks; food & drink; food n drink; food_and_drink; food drink; food; eating and drinking", _topic("food and drink", "FOOD_AND_DRINK")),
    ("groceries; grocery; grocery shopping; grocery store; grocery stores; grocery shops; supermarket; supermarkets; supermarket shopping; food shopping; food shop; food shops; weekly shop; grocers; grocer; supermarket shop", _topic("groceries", "FOOD_AND_DRINK", _GROCERS)),
    ("eating out; eat out; eaten out; ate out; eats out; dining out; dining; dine out; dined out; restaurant; restaurants; meals out; meal out; take out; takeout; takeaway; takeaways; take away; take aways; lunches out; lunch out; dinners out; dinner out; eateries; eatery; restaurant meals; restaurant meal; going out to eat; go out to eat; went out to eat; out to eat; out to dinner; food out", _topic("eating out", "FOOD_AND_DRINK", None, _GROCERS)),
    ("coffee; coffees; coffee shop; coffee shops; coffee house; coffee houses; cafe; cafes; coffee runs; takeaway coffee; takeaway coffees; takeout coffee; espresso; coffee bars; caffeine", _topic("coffee", "FOOD_AND_DRINK", _COFFEE)),
    ("food delivery; food deliveries; delivery; deliveries; delivery apps; delivery app; delivered food; takeaway delivery; takeout delivery; meal delivery; ordering in; food delivery apps", _topic("food delivery", "", _DELIVERY)),
    ("fast food; burger; burgers; burger joints", _topic("fast food", "FOOD_AND_DRINK", _any("mcdonald; burger; wendy; taco bell; kfc\\b; popeyes; chick-?fil-?a; five guys; shake shack; in-?n-?out; subway; domino; pizza; arby; sonic; chipotle; supermac; greggs; nando; boojum; jack in the box; whataburger; panda express; raising cane"))),
    ("pizza; pizzas; pizzerias; pizzeria", _topic("pizza", "FOOD_AND_DRINK", _any("pizz; domino; papa john; little caesar; milano\\b"))),
    ("alcohol; booze; liquor; wine; beer; bar; bars; pub; pubs; drinks at bars; drinks out; nights out", _topic("bars and drinks", "FOOD_AND_DRINK", _any("liquor; wine; beer; brew; bar\\b; pub\\b; tavern; spirits; bevmo; cellar; arms\\b; inn\\b; head\\b; off licence; total wine"))),
    ("gas station; gas stations; gasoline; petrol; petrol station; petrol stations; fuel; gas; diesel; filling up; filling up the car; fill up the car; filled up the car; fill up; fill ups; fill up with petrol; fill up with gas; filled up with petrol; filled up with gas; filled up; fuelling; fueling; petrol stops; fuel stops; filling the car; fill the car; fill the car up; filled the car up; filling the car up; fill my car; filled my car; fill up my car; filled up my car; get petrol; got petrol; fill the tank; filling stations; filling station; fuel up", _topic("fuel", "TRANSPORTATION", _FUEL)),
    ("rideshare; rideshares; ride share; ride shares; ridesharing; ride sharing; ride hailing; rides; taxi; taxis; cab; cabs; cab rides; cab fares; taxi rides; taxi fares; car rides", _topic("rides", "TRANSPORTATION TRAVEL", _RIDES)),
    ("parking; car park; car parks; parking fees; parking meters", _topic("parking", "TRANSPORTATION", _any("park; spothero; ncp\\b; ringgo; impark"))),
    ("public transport; public transportation; public transit; mass transit; transit; subway rides; bus; buses; bus fares; train; trains; train tickets; train fares; train fare; metro; commute; commuting; commutes; rail; railway; tram; trams; tube", _topic("public transport", "TRANSPORTATION TRAVEL", _any("transit; metro; mta\\b; bart\\b; clipper; rail; train; bus\\b; tfl\\b; subway; muni\\b; transport; amtrak; caltrain; ventra; septa; commuter; leap; irish rail; oyster; luas; mbta; wmata; cta\\b; omny; bvg\\b; ratp; sncf; deutsche bahn; national express; stagecoach; northern rail; lner; gwr; citymapper"))),
    ("toll; tolls; road tolls; toll roads", _topic("tolls", "TRANSPORTATION", _any("toll; fastrak; e-?z ?pass; sunpass; eflow; dart charge"))),
    ("on my car; on the car; on our car; car costs; cost of the car; cost of my car; running the car; running my car; car running costs; transport; transportation; getting around; travelling to work; traveling to work; transport costs", _topic("transportation", "TRANSPORTATION")),
    ("rent and utilities; rent & utilities; rent_and_utilities; housing; housing costs; bills and rent; rent and bills; rent utilities; rent plus utilities", _topic("rent and utilities", "RENT_AND_UTILITIES")),
    ("rent; rental payment; rental payments; landlord; my landlord; apartment; my flat; rents; rent payment; rent payments", _topic("rent", "RENT_AND_UTILITIES", _RENT, _NOT_RENT)),
    ("utility; utilities; utility bills; utility bill; household bills; utility costs", _topic("utilities", "RENT_AND_UTILITIES", None, _RENT)),
    ("electric; electricity; electrical; power; power company; electric company; electricity company; gas and electric; gas & electric; gas and electricity; gas bill; gas bills; energy; energy company; energy bill; energy bills; heating; electric bill; electric bills; power bill; power bills; electricity bill; electricity bills; light bill; leccy; heat", _topic("energy", "RENT_AND_UTILITIES", _any("electric; power; energy; pg&?e; con ?ed; edison; gas\\b; duke; stadtwerke; grid; light\\b; edf\\b; dominion; utilit; eversource; pse&?g; hydro; octopus; british gas; e\\.?on\\b; eon\\b; ovo\\b; npower; bulb\\b; airtricity; bord gais; energia; sse\\b; xcel; pepco; ameren; entergy; comed; fpl\\b; vattenfall; iberdrola; enel\\b; engie; shell energy; so energy; utilita"))),
    ("water; water bill; water bills; sewage; sewer; water company; water rates", _topic("water", "RENT_AND_UTILITIES", _any("water; sewer; aqua; severn trent; hydro"))),
    ("internet; internet bill; internet bills; internet service; internet provider; broadband; broadband bill; wifi; wi fi; cable; cable bill; cable bills; home internet; fibre; fiber", _topic("internet", "RENT_AND_UTILITIES GENERAL_SERVICES ENTERTAINMENT", _any("internet; comcast; xfinity; spectrum; cox\\b; fiber; fibre; broadband; cable; fios; sonic\\b; optimum; centurylink; frontier comm; starlink; isp\\b; telekom; virgin media; bt group; talktalk; plusnet; hyperoptic; sky (?:broadband|digital|uk)"), _any("mobile; wireless phone"))),
    ("phone; phones; phone bill; phone bills; phone plan; phone service; phone company; cell phone; cellphone; cell phone bill; mobile; mobile phone; mobile bill; mobile plan; mobile phone bill; wireless; wireless bill; cell; cell bill; cell plan; telephone; phone contract; sim; sim only; phone payment", _topic("phone", "RENT_AND_UTILITIES GENERAL_SERVICES", _any("verizon; at&?t\\b; t-?mobile; sprint; mint mobile; mobile; wireless; phone; cricket; vodafone; o2\\b; ee\\b; three\\b; giffgaff; tello; visible; google fi; cellular; lebara; lyca; smarty; voxi; id mobile; eir\\b; gomo; telekom; orange\\b; us cellular; boost"), _any("broadband; fios; internet"))),
    ("trash; garbage; waste; waste management; waste collection; bin; bins; bin bill; bin collection; bin charges; rubbish; rubbish collection; refuse; refuse collection; recycling", _topic("waste", "RENT_AND_UTILITIES", _any("waste; trash; garbage; recology; republic services; disposal; bin\\b; bins\\b; refuse; recycl; greyhound; panda; thorntons"))),
    ("council tax; council; local council; council tax bill; property tax; property taxes", _topic("council tax", "GOVERNMENT_AND_NON_PROFIT RENT_AND_UTILITIES GENERAL_SERVICES", _any("council; county; borough; property tax; municipal"))),
    ("tv licence; tv license; television licence; tv licensing; licence fee", _topic("TV licence", "", _any("tv licen; television licen"))),
    ("motor tax; road tax; car tax; vehicle tax; dmv; dvla; car registration", _topic("vehicle tax", "GOVERNMENT_AND_NON_PROFIT", _any("motor tax; dvla; dmv\\b; vehicle; dept of motor"))),
    ("medical; medical bills; medical costs; medical expenses; medical care; health; healthcare; health care; health costs; doctor; doctors; doctor visits; doctors visits; medicine; hospital; hospitals; clinic; clinics; physician; physicians; gp; medical stuff", _topic("medical", "MEDICAL")),
    ("pharmacy; pharmacies; drugstore; drugstores; drug store; drug stores; prescription; prescriptions; meds; medication; medications; chemist; chemists; pharmacy costs", _topic("pharmacy", "MEDICAL GENERAL_MERCHANDISE PERSONAL_CARE", _any("pharm; cvs\\b; walgreens; rite aid; drug; boots\\b; apothe; prescri; superdrug; chemist; duane reade; lloyds ph; hickey; mccabe; express scripts; goodrx"))),
    ("dentist; dentists; dental; dental care; dental work; orthodontist", _topic("dentist", "MEDICAL", _any("dent; ortho; smile"))),
    ("optician; opticians; eyecare; eye care; eye doctor; optometrist; contact lenses; specsavers", _topic("eye care", "MEDICAL", _any("optic; optom; vision; eye; lens; warby; glasses; specsavers"))),
    ("vet; vets; veterinary; veterinarian; vet bills; vet bill; vets bills", _topic("vet", "", _any("vets?\\b; veterin; animal hosp; banfield; vca\\b; pets at home vet"))),
    ("pet; pets; pet care; pet food; pet supplies; pet costs; pet stuff", _topic("pets", "", _any("vets?\\b; veterin; pet\\b; pets\\b; petco; petsmart; chewy; banfield; animal; paws; dog\\b; petstop; zooplus"))),
    ("streaming; streaming service; streaming services; tv subscriptions; tv streaming; music streaming; video streaming; tv and music", _topic("streaming", "ENTERTAINMENT GENERAL_SERVICES", _STREAMING)),
    ("movies; cinema; cinemas; movie theater; movie theaters; movie theatre; movie theatres; pictures", _topic("cinema", "ENTERTAINMENT", _any("amc\\b; cinema; theat; regal; movie; fandango; alamo; odeon; film; cinemark; vue\\b; cineworld; omniplex; curzon; everyman; picturehouse; imc\\b"))),
    ("video games; video game; games; gaming; computer games", _topic("games", "ENTERTAINMENT", _any("steam; playstation; xbox; nintendo; game; epic; riot; roblox; blizzard"))),
    ("concert; concerts; gig; gigs; live music; tickets; event tickets; concert tickets; events; live events; shows and concerts", _topic("tickets", "ENTERTAINMENT", _any("ticket; stubhub; live nation; eventbrite; seatgeek; axs\\b; concert; see tickets; dice\\b"))),
    ("entertainment; fun; leisure; going out; hobbies; hobby; fun stuff", _topic("entertainment", "ENTERTAINMENT")),
    ("shopping; general merchandise; general_merchandise; merchandise; retail; retail shopping; online shopping; general shopping; retail therapy; stuff from shops", _topic("general merchandise (shopping)", "GENERAL_MERCHANDISE")),
    ("clothes; clothing; apparel; fashion; shoes; outfits; clothes shopping; clothing shops; clothes shops; clothing stores; clothes and shoes; new clothes", _topic("clothing", "GENERAL_MERCHANDISE", _any("cloth; apparel; h&m\\b; zara\\b; uniqlo; gap\\b; old navy; nike\\b; adidas; shoe; nordstrom; macy; fashion; wear\\b; levi; j\\.? ?crew; lululemon; boutique; foot ?locker; tj ?maxx; tk ?maxx; marshalls; patagonia; everlane; primark; penneys; next retail; asos; boohoo; zalando; clarks; jd sports; schuh; river island; topshop; new look; banana republic; ross\\b; kohl"))),
    ("electronics; gadgets; gadget; electronics stores; tech shopping", _topic("electronics", "GENERAL_MERCHANDISE", _any("best buy; apple store; micro ?center; newegg; electronic; b&h; dell\\b; lenovo; samsung; gamestop; computer; currys; harvey norman; mediamarkt; media markt; saturn; did electrical; power ?city"))),
    ("book; books; bookstore; bookstores; bookshop; bookshops; book shops; reading material", _topic("books", "GENERAL_MERCHANDISE ENTERTAINMENT", _any("book; barnes; kindle; audible; waterstones; powell; eason; foyles; blackwell"))),
    ("home improvement; home improvements; home_improvement; diy; hardware; hardware store; hardware stores; home repairs; home repair; renovation; renovations; house projects; home projects; gardening; home and garden; do it yourself", _topic("home improvement", "HOME_IMPROVEMENT")),
    ("furniture; furnishings; home furnishings", _topic("furniture", "HOME_IMPROVEMENT GENERAL_MERCHANDISE", _any("ikea; wayfair; furniture; west elm; crate; pottery barn; ashley; mattress; sofa; dfs\\b; harvey norman; habitat; made\\.com"))),
    ("personal care; personal_care; beauty; grooming; self care; cosmetics; beauty products; makeup; toiletries; beauty and grooming", _topic("personal care", "PERSONAL_CARE")),
    ("gym; gyms; gym membership; gym memberships; gym fees; fitness; fitness classes; workouts; workout; working out; yoga; exercise; gym subscription; health club", _topic("gym", "PERSONAL_CARE ENTERTAINMENT GENERAL_SERVICES", _any("\\w*gym\\b; fitness; planet fit; \\w*fit\\b; yoga; equinox; crossfit; pilates; ymca; orangetheory; peloton; soulcycle; barre\\b; athletic; 24 hour; classpass; leisure centre; david lloyd; virgin active"))),
    ("haircut; haircuts; hair cut; hair cuts; hairdresser; hairdressers; hair; hair salon; hair salons; barber; barbers; salon; salons; getting my hair cut", _topic("hair", "PERSONAL_CARE", _any("hair; barber; salon; cuts\\b; clips\\b; supercuts; stylist; toni; peter mark; rush\\b; regis"))),
    ("insurance; insurance premiums; insurance premium; insurances; premiums; insurance policies", _topic("insurance", "GENERAL_SERVICES MEDICAL RENT_AND_UTILITIES TRANSPORTATION LOAN_PAYMENTS", _INSURERS)),
    ("car insurance; auto insurance; motor insurance; vehicle insurance; insuring the car; insuring my car", _topic("car insurance", "GENERAL_SERVICES TRANSPORTATION LOAN_PAYMENTS", _INSURERS, _any("health; life ins; home ins; renters; pet ins; travel ins; dental; contents; vhi\\b; laya; bupa"))),
    ("health insurance; medical insurance", _topic("health insurance", "GENERAL_SERVICES MEDICAL", _any("health ins; medical ins; vhi\\b; laya; bupa; blue cross; bcbs; aetna; cigna; kaiser; humana; united ?health; irish life health"))),
    ("home insurance; house insurance; renters insurance; contents insurance; homeowners insurance; buildings insurance", _topic("home insurance", "GENERAL_SERVICES RENT_AND_UTILITIES", _any("home ins; house ins; renters; contents; homeowner; lemonade; buildings ins"))),
    ("childcare; child care; daycare; day care; nanny; babysitting; babysitter; babysitters; preschool; kindergarten; nursery; creche; nursery fees", _topic("childcare", "GENERAL_SERVICES", _any("child; day ?care; nanny; babysit; preschool; kinder; montessori; bright horizons; nursery; creche"))),
    ("tuition; education; school; school fees; college; university; courses; course; classes; tuition fees", _topic("education", "GENERAL_SERVICES", _any("tuition; school; college; univers; course; academy; udemy; coursera; education; learn; duolingo"))),
    ("car repair; car repairs; mechanic; mechanics; auto repair; auto repairs; car maintenance; oil change; oil changes; car servicing; garage; mot", _topic("car repair", "GENERAL_SERVICES TRANSPORTATION", _any("jiffy; valvoline; midas; meineke; auto; tire; tyre; mechanic; garage; repair; firestone; pep boys; kwik fit; halfords; advance pit"))),
    ("laundry; dry cleaning; dry cleaners; cleaners; cleaning", _topic("laundry", "GENERAL_SERVICES PERSONAL_CARE", _any("laund; clean; wash; timpson"))),
    ("post; postage; shipping; mail; post office; parcels; stamps", _topic("postage", "GENERAL_SERVICES", _any("post\\b; usps; ups\\b; fedex; dhl\\b; royal mail; mail; courier; evri; hermes; dpd\\b"))),
    ("cloud storage; software; software subscriptions; apps; cloud services; online services", _topic("software", "GENERAL_SERVICES", _any("adobe; dropbox; icloud; google (?:one|storage|cloud|workspace); microsoft; github; notion; canva; openai; chatgpt; 1password; lastpass; nordvpn; zoom; slack; figma; duolingo; evernote; apple\\.com"))),
    ("general services; general_services; services; service", _topic("services", "GENERAL_SERVICES")),
    ("charity; charities; charitable donations; charitable giving; charitable causes; donation; donations; donate; donated; donating; donates; non profits; nonprofits; good causes; charity donations; charitable", _topic("donations", "GOVERNMENT_AND_NON_PROFIT GENERAL_SERVICES", _any("charit; donat; red cross; unicef; foundation; fund\\b; relief; habitat; church; npr\\b; wikimedia; goodwill; mission; aclu; doctors without; oxfam; salvation; non-?profit; society; shelter; rescue; trocaire; save the child; cancer; rnli; rspca; barnardo; st\\.? jude; hospice; aid\\b"))),
    ("tax; taxes; tax payments; tax payment; income tax; hmrc; taxman; irs", _topic("taxes", "GOVERNMENT_AND_NON_PROFIT GENERAL_SERVICES", _any("tax; irs\\b; franchise; hmrc; revenue; treasury; finanzamt; ftb\\b"))),
    ("government; government fees; government services; government and non profit; government and non profits; government_and_non_profit; government and nonprofit; fines; fine; government and charity; government payments; government non profit", _topic("government and non-profit", "GOVERNMENT_AND_NON_PROFIT")),
    ("flight; flights; airfare; airfares; air fare; air fares; airline; airlines; plane tickets; plane ticket; flying; air travel; airline tickets", _topic("flights", "TRAVEL", _any("air\\b; airline; airways; delta; united; southwest; jetblue; lufthansa; ryanair; easyjet; spirit\\b; alaska; frontier; flight; british air; klm\\b; aero; aer lingus; wizz; vueling; iberia; air france; jet2; emirates; qatar"))),
    ("hotel; hotels; lodging; accommodation; accommodations; motel; motels; hotel stays; places to stay", _topic("lodging", "TRAVEL", _any("hotel; inn\\b; marriott; hilton; hyatt; airbnb; motel; resort; lodge; suites; vrbo; booking; expedia; westin; sheraton; hostel; premier inn; travelodge; accor; ibis\\b; holiday inn; best western"))),
    ("car rental; car rentals; rental car; rental cars; car hire; hire car; hire cars; hiring cars; renting cars", _topic("car rental", "TRAVEL TRANSPORTATION", _any("hertz; avis\\b; enterprise rent; enterprise; budget rent; sixt; europcar; alamo rent; national car; rent.?a.?car; car rental; car hire; turo; zipcar; getaround"))),
    ("travel; travelling; traveling; travel costs; travel expenses; vacation; vacations; holiday; holidays; holiday travel; trips away; my trips; business trips; getaways", _topic("travel", "TRAVEL")),
    ("mortgage; mortgages; home loan; mortgage payment; mortgage payments; house payment; house payments", _topic("mortgage", "LOAN_PAYMENTS RENT_AND_UTILITIES", _any("mortgage; home loan; mtg\\b; hypo; quicken; rocket"))),
    ("car loan; car loans; car payment; car payments; car finance; auto loan; auto loans; auto loan payments; car loan payments; car financing; vehicle loan", _topic("car loan", "LOAN_PAYMENTS", _any("auto\\b; car\\b; motor; toyota; honda; ford; vehicle; black horse; ally\\b; santander consumer; carmax"), _any("card"))),
    ("student loan; student loans; student loan payments; student loan payment; student debt", _topic("student loan", "LOAN_PAYMENTS", _any("student; navient; nelnet; sallie; sofi; edu; fedloan; mohela; great lakes; dept? of ed; slc\\b"))),
    ("credit card payment; credit card payments; credit card bill; credit card bills; card payment; card payments; card bill; card bills; credit card; credit cards; clear the credit card; clear the credit cards; clear the card; clear the cards; clear my credit card; clear my credit cards; clear my card; clear my cards; clear our credit card; clear our credit cards; clear our card; clear our cards; cleared the credit card; cleared the credit cards; cleared the card; cleared the cards; cleared my credit card; cleared my credit cards; cleared my card; cleared my cards; cleared our credit card; cleared our credit cards; cleared our card; cleared our cards; clearing the credit card; clearing the credit cards; clearing the card; clearing the cards; clearing my credit card; clearing my credit cards; clearing my card; clearing my cards; clearing our credit card; clearing our credit cards; clearing our card; clearing our cards; settle the credit card; settle the credit cards; settle the card; settle the cards; settle my credit card; settle my credit cards; settle my card; settle my cards; settle our credit card; settle our credit cards; settle our card; settle our cards; settled the credit card; settled the credit cards; settled the card; settled the cards; settled my credit card; settled my credit cards; settled my card; settled my cards; settled our credit card; settled our credit cards; settled our card; settled our cards; settling the credit card; settling the credit cards; settling the card; settling the cards; settling my credit card; settling my credit cards; settling my card; settling my cards; settling our credit card; settling our credit cards; settling our card; settling our cards; pay off the credit card; pay off the credit cards; pay off the card; pay off the cards; pay off my credit card; pay off my credit cards; pay off my card; pay off my cards; pay off our credit card; pay off our credit cards; pay off our card; pay off our cards; paid off the credit card; paid off the credit cards; paid off the card; paid off the cards; paid off my credit card; paid off my credit cards; paid off my card; paid off my cards; paid off our credit card; paid off our credit cards; paid off our card; paid off our cards; paying off the credit card; paying off the credit cards; paying off the card; paying off the cards; paying off my credit card; paying off my credit cards; paying off my card; paying off my cards; paying off our credit card; paying off our credit cards; paying off our card; paying off our cards; pay down the credit card; pay down the credit cards; pay down the card; pay down the cards; pay down my credit card; pay down my credit cards; pay down my card; pay down my cards; pay down our credit card; pay down our credit cards; pay down our card; pay down our cards; paid down the credit card; paid down the credit cards; paid down the card; paid down the cards; paid down my credit card; paid down my credit cards; paid down my card; paid down my cards; paid down our credit card; paid down our credit cards; paid down our card; paid down our cards; paying down the credit card; paying down the credit cards; paying down the card; paying down the cards; paying down my credit card; paying down my credit cards; paying down my card; paying down my cards; paying down our credit card; paying down our credit cards; paying down our card; paying down our cards; card repayment; card repayments; credit card repayment; credit card repayments; card payoff; credit card payoff; my card off; cc payment; cc payments; visa bill; amex bill", _topic("credit card payments", "LOAN_PAYMENTS TRANSFER_OUT", _CARD, None, Flow.MONEY_OUT)),
    ("loan; loans; loan payment; loan payments; loan_payments; loan repayments; loan repayment; debt; debts; debt payments; debt repayments; debt repayment", _topic("loan payments", "LOAN_PAYMENTS", None, _CARD)),
    ("atm fee; atm fees; atm charges; atm charge; cash machine fees; cashpoint fees", _topic("ATM fees", "BANK_FEES", _any("atm; cash machine; non.?network"))),
    ("overdraft; overdrafts; overdraft fee; overdraft fees; overdraft charges; overdraft charge; overdraft interest", _topic("overdraft fees", "BANK_FEES", _any("overdraft; od\\b; nsf\\b; insufficient; unpaid"))),
    ("foreign transaction fee; foreign transaction fees; foreign fee; foreign fees; foreign exchange fees; fx fee; fx fees; currency fees; currency conversion fees; non sterling fees; non sterling transaction fees; foreign currency fees", _topic("foreign transaction fees", "BANK_FEES", _any("foreign; fx\\b; intl; international; conversion; non.?sterling; currency"))),
    ("maintenance fee; maintenance fees; account fee; account fees; monthly account fee; monthly account fees; monthly fee; monthly fees; account maintenance fees", _topic("account fees", "BANK_FEES", _any("maintenance; account fee; monthly; quarterly; service (?:fee|charge)"))),
    ("late fee; late fees; late payment fee; late payment fees; late charges", _topic("late fees", "BANK_FEES LOAN_PAYMENTS", _any("late"))),
    ("interest charges; interest charge; interest paid; interest expense; pay in interest; paid in interest; paying in interest; pay interest; paid interest; interest on my card; interest on the card; credit card interest; card interest; loan interest; interest payments made; charged in interest; charged interest; interest i paid; interest was i charged; interest have i been charged; interest did i pay", _topic("interest charges", "BANK_FEES LOAN_PAYMENTS", _any("interest; finance charge"))),
    ("bank fee; bank fees; bank charge; bank charges; banking fees; banking charges; banking costs; bank_fees; fee; fees; service charge; service charges; bank costs; bank; my bank; fees and charges; penalty fees; charges from the bank; charges from my bank; bank's fees; charged in fees; charged fees; bank charged", _topic("bank fees", "BANK_FEES")),
    (f"{_CASH_TAKEN}; cash withdrawal; cash withdrawals; cash; atm; atms; atm withdrawal; atm withdrawals; cash machine; cash machines; cashpoint; cashpoints; cash point; cash points; withdraw; withdrew; withdrawn; withdrawing; withdraw cash; withdrew cash; withdraw in cash; withdrawn in cash; take out cash; took out cash; taken out cash; take out in cash; took out in cash; taken out in cash; take cash out; took cash out; taken cash out; get cash out; got cash out; cash out; cash did i withdraw; cash did i take out; cash have i taken out; cash have i withdrawn; cash did i get out; cash did we take out; cash did we withdraw; cash taken out; cash took out; use an atm; used an atm; use the atm; used the atm; hit the atm; an atm; hole in the wall; atm visits; withdrawals of cash; cash i took out; cash i withdrew; pull out in cash; pull out cash; cash withdrawn; withdrawals from atms; withdrawals at atms; atm trips; cash from atms; cash from the atm; use a cash machine; used a cash machine; use the cash machine; money from the atm; money out of the atm; took money out of the atm; take money out of the atm", _topic("cash withdrawals", "TRANSFER_OUT GENERAL_SERVICES BANK_FEES", _CASH, _NOT_CASH, Flow.MONEY_OUT)),
    ("salary; salaries; salarys; wage; wages; paycheck; paychecks; pay check; pay checks; pay cheque; pay cheques; paycheque; paycheques; pay packet; pay packets; pay slip; payslip; payslips; pay slips; payroll; payroll deposits; payroll deposit; payday; paydays; pay day; pay days; my pay; our pay; the pay; just the pay; just pay; pay received; pay did we get; pay did i get; pay did we receive; pay did i receive; pay have we received; pay have i received; pay have we got; pay have i got; pay came in; pay has come in; pay landed; pay was received; pay deposited; pay payments; pay payment; in pay; take home pay; pay credited; pay credits; net pay; from work; from my job; from my employer; my employer; direct deposit; direct deposits; pay deposits; salary payment; salary payments; work pay; wage packet; wage packets; my job; from employment; work income; employment income", _topic("salary", "INCOME", None, _EXTRA_INCOME, Flow.INCOME)),
    ("interest; interest earned; interest income; interest payment; interest payments; interest received; savings interest; deposit interest; bank interest; interest on savings; interest on my savings; interest credited; earn in interest; earned in interest; interest from savings; interest from my savings; interest did my savings pay; interest did my savings earn; interest have my savings earned; interest did my savings account pay; interest have i earned; interest did i earn; interest did i get; interest did i receive; interest did we earn; interest has my savings account paid; interest did the bank pay me; interest has the bank paid me", _topic("interest", "INCOME", _any("interest; int\\b"), None, Flow.INCOME)),
    ("dividend; dividends; dividend income; dividend payments", _topic("dividends", "INCOME", _any("dividend; div\\b"), None, Flow.INCOME)),
    ("child benefit; child benefits; benefit; benefits; benefit payments; government benefits; state benefits; welfare; universal credit; social welfare", _topic("benefits", "INCOME", _any("benefit; allowance; universal credit; dsp\\b; dwp\\b; social; ssa\\b; unemployment"), None, Flow.INCOME)),
    ("tax refund; tax refunds; tax rebate; tax rebates; tax refund from the irs; tax refund from hmrc; tax refund from the taxman; tax refunds from the irs; irs refund; irs tax refund; irs refunds; hmrc refund; hmrc refunds; tax back; refund from the irs; refund from hmrc; federal tax refund; state tax refund", _topic("tax refunds", "INCOME GOVERNMENT_AND_NON_PROFIT", _any("tax; irs\\b; hmrc; treas; revenue"), None, Flow.MONEY_IN)),
    ("pension; pensions; pension income; pension payments", _topic("pension", "INCOME", _any("pension; annuity; retirement"), None, Flow.INCOME)),
)  # fmt: skip


def _pattern(phrases: str) -> re.Pattern[str]:
    alternatives = sorted((phrase.strip() for phrase in phrases.split(";")), key=lambda phrase: -len(phrase))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(re.escape(phrase) for phrase in alternatives)})(?![\w-])")


TOPICS: Final = tuple((_pattern(phrases), topic) for phrases, topic in _PHRASES)
PHRASE_TOPICS: Final = {
    tuple(phrase.split()): topic for phrases, topic in _PHRASES for phrase in phrases.split(";") if phrase.strip()
}
"""Each phrase's words, as `reading.tidy` leaves them, and what it means."""
TOPIC_WORDS: Final = frozenset(word for phrase in PHRASE_TOPICS for word in phrase)

WHOLE_CATEGORIES: Final = frozenset(topic.name for _, topic in _PHRASES if topic.only is None and topic.without is None)
"""Topics that are a category of the ledger, no part of one."""

READABLE: Final = {
    "GOVERNMENT_AND_NON_PROFIT": "government and non-profit",
    "GENERAL_MERCHANDISE": "general merchandise (shopping)",
}


def readable(category: str) -> str:
    """A category's name in plain words."""
    return READABLE.get(category) or category.replace("_", " ").lower() or "uncategorised"
