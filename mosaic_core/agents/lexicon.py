"""Word evidence for the categories: known chains, words that name a trade, and stems inside compound names.

        Data only. A chain says what a row is almost for certain; a trade word ("dental", "trattoria") says it
        of merchants that
no list knows; a stem says it of compounds ("burgerhaus"). Words are lower case, without apostrophes, as
``descriptors.descriptor_words`` yields them. ``word!`` is decisive, ``word?`` a hint.
"""

from __future__ import annotations

from typing import Final

PRIMARIES: Final = (
    "INCOME",
    "TRANSFER_IN",
    "TRANSFER_OUT",
    "LOAN_PAYMENTS",
    "BANK_FEES",
    "ENTERTAINMENT",
    "FOOD_AND_DRINK",
    "GENERAL_MERCHANDISE",
    "HOME_IMPROVEMENT",
    "MEDICAL",
    "PERSONAL_CARE",
    "GENERAL_SERVICES",
    "GOVERNMENT_AND_NON_PROFIT",
    "TRANSPORTATION",
    "TRAVEL",
    "RENT_AND_UTILITIES",
)

CHAINS: Final[dict[str, str]] = {
    "ENTERTAINMENT": """
        netflix, hulu, disney plus, disneyplus, disney+, hbo max, hbomax, max com, peacock, peacocktv, paramount
        plus, paramount+, paramountplus, spotify, pandora, tidal, deezer,
        apple music, apple tv, itunes, apple com bill, youtube premium, youtubepremium, youtube tv, youtube,
        google youtube, sirius xm, siriusxm, audible, amc theatres, amc theaters, amc, regal cinemas, regal,
        cinemark,
        alamo drafthouse, odeon, fandango, ticketmaster, stubhub, seatgeek, eventbrite, live nation, livenation,
        axs, dave and busters, dave busters, topgolf, bowlero, six flags, cedar fair,
        universal studios, seaworld, legoland, disneyland, walt disney world, steam, steamgames, steam games,
        steam purchase, playstation, playstation network, sony playstation, xbox, microsoft xbox,
        nintendo, epic games, epicgames, riot games, roblox, blizzard, twitch, patreon, crunchyroll, fubo,
        fubotv, sling tv, slingtv, starz, showtime, espn plus, espn, discovery plus, curiosity stream,
        mubi, criterion channel, soundcloud, bandcamp, draftkings, fanduel, betmgm, bet365, pokerstars, mgm
        grand, caesars palace, chuck e cheese, main event, urban air, sky zone, amazon prime video, prime video,
        amazon video,
        amazon music, kindle unlimited, vudu, funimation, dazn, f1 tv, mlb tv, nba league pass, nfl sunday
        ticket, ea sports, electronic arts, ubisoft, discord, onlyfans, tinder, bumble, hinge, medium,
        substack, new york times, nytimes, ny times, wall street journal, wsj, washington post, the economist,
        the athletic, barking sky""",
    "FOOD_AND_DRINK": """
        starbucks, sbux, dunkin, dunkin donuts, peets, peets coffee, blue bottle, blue btl, philz, dutch bros,
        tim hortons, caribou coffee, costa coffee, pret a manger, pret, caffe nero, einstein bros, krispy kreme,
        mcdonalds, mcd, burger king, wendys, taco bell, kfc, popeyes, chick fil a, chickfila, five guys, 5guys,
        shake shack, in n out, innout, whataburger, jack in the box, sonic drive in, arbys, subway, jimmy johns,
        jersey mikes,
        firehouse subs, quiznos, panera, panera bread, chipotle, qdoba, moes southwest, del taco, el pollo loco,
        panda express, pf changs, noodles and company, sweetgreen, cava, dig inn, just salad, potbelly,
        dominos, pizza hut, papa johns, little caesars, papa murphys, blaze pizza, mod pizza, marcos pizza,
        olive garden, red lobster, applebees, chilis, tgi fridays, outback steakhouse, outback, texas roadhouse,
        cheesecake factory, ihop, dennys, waffle house, cracker barrel, bob evans, buffalo wild wings, wingstop,
        hooters, raising canes, zaxbys, culvers, dairy queen, baskin robbins, ben jerrys, cold stone, jamba,
        jamba juice, smoothie king, tropical smoothie, nandos, wagamama, doordash, grubhub, uber eats, ubereats,
        postmates, seamless, deliveroo, just eat, caviar, instacart, gopuff, hellofresh, blue apron, factor75,
        home chef,
        whole foods, wholefds, wholefoods, trader joes, trader joe, safeway, kroger, publix, albertsons, vons,
        ralphs, food lion, giant eagle, giant food, stop shop, stop & shop, shoprite, wegmans, h e b, heb,
        meijer, aldi, lidl, sprouts,
        sprouts farmers, harris teeter, piggly wiggly, winn dixie, hy vee, hyvee, winco, food4less, foodland,
        market basket, hannaford, acme markets, fred meyer, smart final, smart & final, grocery outlet, fairway,
        gristedes, key food, jewel osco, jewel,
        tesco, sainsburys, asda, morrisons, waitrose, carrefour, rewe, edeka, kaufland, netto, monoprix, albert
        heijn, loblaws, sobeys, metro market, fresh thyme, fresh direct, freshdirect, misfits market, imperfect
        foods,
        thrive market, 99 ranch, h mart, hmart, weee, total wine, bevmo, drizly, auntie annes, cinnabon,
        insomnia cookies, crumbl, nothing bundt, la colombe, stumptown, intelligentsia, gongcha, kung fu tea,
        boba guys, sheetz mto,
        ruths chris, capital grille, morton steakhouse, benihana, maggianos, carrabbas, bonefish grill, red
        robin, ruby tuesday, perkins, golden corral, long john silvers, church chicken, bojangles, hardees,
        carls jr,
        white castle, checkers, rallys, steak n shake, portillos, freddys, habit burger, smashburger, shakeys,
        sbarro, eggslut, tous les jours, paris baguette, 85c, corner bakery, au bon pain, le pain quotidien,
        nespresso, ezcater, toogoodtogo, too good to go""",
    "GENERAL_MERCHANDISE": """
        amazon, amzn, amzn mktp, amazon mktpl, amazon marketplace, walmart, wal mart, wm supercenter, target,
        costco, costco whse, sams club, samsclub, bjs wholesale, ebay, etsy, aliexpress, alibaba, temu, shein,
        wish com, wayfair outlet,
        best buy, bestbuy, apple store, apple online, micro center, microcenter, newegg, b&h photo, bh photo,
        gamestop, dell, hp com, lenovo, samsung, macys, nordstrom, nordstrom rack, kohls, jcpenney, jc penney,
        dillards, bloomingdales,
        saks fifth, saks, neiman marcus, tj maxx, tjmaxx, marshalls, ross stores, ross dress, ross, burlington
        coat, burlington stores, old navy, gap, banana republic, h&m, zara, uniqlo, forever 21, american eagle,
        abercrombie, hollister, urban outfitters,
        anthropologie, j crew, jcrew, madewell, everlane, lululemon, athleta, nike, adidas, under armour, puma,
        new balance, foot locker, footlocker, finish line, dsw, famous footwear, zappos, payless, crocs,
        skechers, vans, converse,
        dicks sporting, dicks sporting goods, academy sports, rei, rei com, patagonia, north face, columbia
        sportswear, bass pro, cabelas, big 5, decathlon, petsmart, petco, chewy, barnes noble, barnes & noble,
        powells, half price books,
        waterstones, staples, office depot, officemax, michaels, joann, hobby lobby, party city, dollar tree,
        dollar general, family dollar, five below, big lots, tuesday morning, 99 cents, 7 eleven, 7eleven,
        circle k store, wawa store, walgreens photo,
        toys r us, lego, build a bear, hallmark, bath body works, bath & body works, yankee candle, victorias
        secret, coach, michael kors, kate spade, tiffany, pandora jewelry, kay jewelers, zales, jared,
        swarovski, ray ban, sunglass hut, warby parker store,
        gopro, bose, sonos, logitech, anker, guitar center, sweetwater, gucci, louis vuitton, prada, hermes,
        burberry, primark, marks spencer, john lewis, argos, currys, next retail, boden, asos, mango, tchibo,
        zalando, otto, mediamarkt, media markt, saturn,
        qvc, hsn, overstock, rakuten, mercari, poshmark, thredup, depop, stockx, groupon, smoke shop, juul,
        google store, shopify, walmart com, instacart costco, carters, childrens place, buybuy baby, sierra
        trading, ll bean, lands end, eddie bauer, bonobos, allbirds, muji, daiso, miniso, brookstone, sharper
        image""",
    "HOME_IMPROVEMENT": """
        home depot, homedepot, lowes, ace hardware, ace hdwe, menards, true value, harbor freight, tractor
        supply, ikea, wayfair, crate barrel, crate & barrel, pottery barn, west elm, williams sonoma, cb2,
        restoration hardware, article com,
        ashley furniture, ashley homestore, rooms to go, bobs discount furniture, mattress firm, casper, purple
        mattress, tempur pedic, sleep number, bed bath, bed bath beyond, container store, homegoods, home goods,
        at home store, pier 1, world market, floor decor, floor & decor,
        sherwin williams, benjamin moore, lumber liquidators, ll flooring, b&q, wickes, screwfix, bauhaus, obi,
        hornbach, leroy merlin, adt, adt security, simplisafe, ring com, ring yearly, vivint, brinks home,
        terminix, orkin, trugreen, rotorooter,
        roto rooter, servpro, stanley steemer, molly maid, merry maids, mr rooter, angi, taskrabbit, thumbtack,
        handy, bloomscape, the sill, burrow, joybird, raymour flanigan, la z boy, lazboy, havertys, ethan allen,
        arhaus, lamps plus, sur la table, kirklands""",
    "MEDICAL": """
        cvs, cvs pharmacy, walgreens, rite aid, duane reade, boots, superdrug, kaiser, kaiser permanente, kp
        payment, sutter health, mayo clinic, cleveland clinic, quest diagnostics, labcorp, one medical,
        onemedical, teladoc, zocdoc, minuteclinic,
        aspen dental, smile direct, smiledirectclub, invisalign, lenscrafters, warby parker, visionworks, pearle
        vision, 1800contacts, 1 800 contacts, contactsdirect, zenni, goodrx, capsule, pillpack, express scripts,
        optumrx, caremark, hims, hers, ro co, nurx, betterhelp, talkspace, headway, cerebral,
        gnc, vitamin shoppe, iherb, banfield, vca, vca animal, bluepearl, labtests, concentra, citymd, carbon
        health, davita, fresenius, hearusa, miracle ear, care of, ritual, thrive vet""",
    "PERSONAL_CARE": """
        planet fitness, planet fit, la fitness, 24 hour fitness, 24hr fitness, equinox, gold gym, golds gym,
        anytime fitness, crunch fitness, crunch, orangetheory, orange theory, soulcycle, barrys, barrys
        bootcamp, f45, corepower, corepower yoga, club pilates, pure barre, peloton,
        classpass, ymca, ywca, lifetime fitness, life time, blink fitness, snap fitness, curves, crossfit,
        sephora, ulta, ulta beauty, sally beauty, mac cosmetics, glossier, great clips, supercuts, sport clips,
        fantastic sams, cost cutters, drybar,
        european wax, massage envy, hand stone, dollar shave, dollar shave club, harrys, billie, bluemercury,
        aveda, lush, kiehls, the body shop, loccitane, birchbox, ipsy, tide cleaners, martinizing, rinse com,
        puregym, the gym group, fitness first, mcfit, regis salon, floyds barbershop, headspace, calm com,
        strava, myfitnesspal, zumba""",
    "GENERAL_SERVICES": """
        geico, state farm, allstate, progressive, progressive ins, usaa insurance, farmers ins, liberty mutual,
        nationwide, travelers, aaa, lemonade, root insurance, metlife, new york life, northwestern mutual,
        prudential, mutual of omaha, aflac, hartford,
        esurance, the general, amica, erie insurance, aviva, axa, allianz, direct line, admiral, hiscox,
        turbotax, turbo tax, intuit, h&r block, hr block, quickbooks, legalzoom, rocket lawyer, fedex, fedex
        office, ups store, ups, usps, dhl, stamps com, pirate ship, mail boxes,
        public storage, extra space, cubesmart, u haul storage, life storage, jiffy lube, valvoline, midas,
        meineke, pep boys, firestone, goodyear, discount tire, les schwab, mavis, monro, autozone, auto zone,
        advance auto, oreilly auto, o reilly, napa auto, carmax service, caliber collision, safelite, maaco,
        take 5 oil, mister car wash, kindercare, bright horizons, la petite academy, goddard school, primrose
        school, care com, rover com, rover, wag, coursera, udemy, udacity, edx, skillshare, masterclass,
        linkedin, linkedin premium, duolingo, rosetta stone, babbel, kumon, sylvan learning, mathnasium, chegg,
        pearson, college board, google one, google storage, google cloud, google workspace, google gsuite,
        icloud, dropbox, microsoft, microsoft 365, microsoft office, office 365, adobe, github, gitlab, aws,
        amazon web services, digitalocean, godaddy, namecheap, squarespace, wix, wordpress, bluehost,
        cloudflare, heroku, openai, chatgpt, anthropic, claude ai,
        notion, evernote, slack, zoom, zoom us, canva, figma, grammarly, lastpass, 1password, nordvpn,
        expressvpn, norton, mcafee, malwarebytes, backblaze, carbonite, lifelock, experian, credit karma,
        ancestry, 23andme, shutterfly, vistaprint, fiverr, upwork, indeed, mailchimp, docusign, lastpass,
        dashlane, proton, zapier, airtable, atlassian, asana, trello, todoist, setapp, jetbrains, brilliant org,
        khan academy store""",
    "GOVERNMENT_AND_NON_PROFIT": """
        irs, irs usataxpymt, usataxpymt, us treasury, franchise tax board, franchise tax bd, dmv, dept of motor,
        secretary of state, uscis, passport services, us passport, red cross, american red cross, salvation
        army, goodwill donation, unicef, doctors without borders, oxfam,
        world wildlife, wwf, sierra club, aclu, planned parenthood, npr, pbs, wikimedia, wikipedia, habitat for
        humanity, st jude, feeding america, united way, aspca, humane society, amnesty, greenpeace, gofundme,
        actblue, winred, donorschoose, charity water, nature conservancy, wounded warrior, make a wish, hmrc,
        dvla, save the children, cancer research, kiva, givewell, globalgiving, tithely, tithe ly, pushpay,
        givelify, mozilla foundation""",
    "TRANSPORTATION": """
        uber, uber trip, lyft, lyft ride, bolt eu, freenow, free now, curb, waymo, via transportation, bird app,
        lime, lime ride, spin scooter, citi bike, citibike, bay wheels, divvy, shell, shell oil, shell service,
        exxon, exxonmobil, mobil, chevron, texaco, bp, arco, valero, conoco,
        phillips 66, 76, marathon petro, marathon, speedway, sunoco, citgo, gulf oil, sinclair, circle k, wawa,
        sheetz, quiktrip, quik trip, racetrac, kwik trip, kum & go, caseys, maverik, loves travel, pilot, flying
        j, costco gas, sams fuel, safeway fuel, kroger fuel, murphy usa, esso, petro canada, aral, total
        energies, repsol,
        chargepoint, evgo, electrify america, tesla supercharger, blink charging, mta, mta nyct, nyct paygo, mta
        metrocard, omny, lirr, metro north, njtransit, nj transit, septa, mbta, wmata, metro washington, bart,
        bart clipper, clipper, clipper card, caltrain, muni, sfmta, ac transit, ventra, cta, cta ventra, metra,
        la metro, trimet, hop fastpass, king county metro, orca, marta, dart, capmetro, rtd, tfl, tfl travel,
        transport for london, deutsche bahn, db vertrieb, bvg, ratp, presto, translink,
        amtrak local, parkmobile, paybyphone, spothero, parkwhiz, laz parking, sp plus, impark, ace parking,
        propark, passport parking, ezpass, e zpass, e z pass, ez pass, fastrak, sunpass, txtag, ipass, peach
        pass, good to go, toll roads, trainline, national express, zipcar, getaround local, revel, scoot,
        helbiz, tier mobility, voi, ntta, pikepass""",
    "TRAVEL": """
        united airlines, united air, united, delta air, delta airlines, delta, american airlines, american air,
        southwest, southwest air, southwes, jetblue, alaska air, alaska airlines, spirit airlines, spirit airl,
        frontier airlines, hawaiian air, hawaiian airlines, allegiant, sun country, air canada, westjet, british
        airways, british air, virgin atlantic,
        lufthansa, air france, klm, ryanair, easyjet, wizz air, iberia, emirates, qatar air, turkish airlines,
        singapore airlines, cathay, ana air, japan airlines, qantas, aer lingus, icelandair, norwegian air,
        norwegian cruise, royal caribbean, carnival cruise, marriott, hilton, hyatt, sheraton, westin,
        courtyard, residence inn, fairfield inn, hampton inn,
        holiday inn, ihg, crowne plaza, best western, doubletree, embassy suites, four seasons, ritz carlton,
        motel 6, super 8, days inn, la quinta, comfort inn, wyndham, ramada, travelodge, radisson, novotel,
        ibis, accor, mercure, premier inn, airbnb, vrbo, homeaway, booking com, booking, bookingcom, expedia,
        hotels com, priceline,
        kayak, orbitz, travelocity, agoda, trip com, tripadvisor, hopper, hotwire, skyscanner, hostelworld,
        hertz, avis, enterprise rent, enterprise, national car, alamo rent, budget rent, sixt, thrifty, dollar
        rent, europcar, turo, amtrak, eurostar, greyhound, flixbus, megabus, viator, getyourguide, klook, tsa
        precheck, global entry, clear me, koa campground, recreation gov, hipcamp, sonder, kimpton, loews
        hotels, omni hotels, away travel""",
    "RENT_AND_UTILITIES": """
        pg&e, pge, pacific gas, con edison, coned, con ed, duke energy, dominion energy, southern california
        edison, so cal edison, sce, socalgas, so cal gas, sdge, sdg&e, xcel energy, xcel, national grid,
        eversource, comed, pseg, pse&g, peco, fpl, florida power, georgia power, entergy, dte energy, consumers
        energy, ameren,
        centerpoint, centerpoint energy, atmos energy, nicor gas, puget sound energy, portland general, pacific
        power, rocky mountain power, nv energy, aps, srp, txu energy, reliant energy, direct energy, austin
        energy, cps energy, ladwp, ebmud, sfpuc, american water, aqua america, waste management, wm com,
        republic services, recology, waste connections,
        comcast, xfinity, spectrum, charter comm, cox comm, cox communications, optimum, altice, verizon,
        vzwrlss, vzw, verizon fios, at&t, att, att bill, at t, t mobile, tmobile, sprint, mint mobile, google
        fi, visible, cricket wireless, cricket, metro pcs, metropcs, boost mobile, us cellular, straight talk,
        tracfone, google fiber, centurylink, lumen, frontier communications, frontier comm, windstream,
        dish network, dish, directv, starlink, hughesnet, viasat, vonage, ooma, vodafone, o2, ee limited, bt
        group, virgin media, sky digital, telekom, orange fr, british gas, edf energy, eon, octopus energy,
        thames water, ovo energy, severn trent, council tax rent, appfolio, rentcafe, buildium, zillow rent,
        avail rent, greystar, equity residential, avalonbay, avalon, essex property, invitation homes, american
        homes 4 rent, bozzuto, camden, lincoln property, mid america apt, related rentals, stuytown, propane
        suburban, amerigas""",
    "LOAN_PAYMENTS": """
        navient, nelnet, great lakes, mohela, fedloan, aidvantage, sallie mae, salliemae, earnest, commonbond,
        sofi loan, lending club, lendingclub, prosper, upstart, avant, onemain, best egg, marcus loan, rocket
        mortgage, quicken loans, mr cooper, freedom mortgage, pennymac, loandepot, caliber home, newrez,
        shellpoint,
        toyota financial, toyota fin, honda financial, american honda finance, ford credit, ford motor credit,
        gm financial, ally auto, ally financial, capital one auto, chase auto, nissan motor acceptance, hyundai
        motor finance, kia motors finance, vw credit, bmw financial, mercedes benz financial, santander
        consumer, carvana loan, tesla finance, world omni, exeter finance, westlake financial,
        chase credit crd, chase card, citi card, citi autopay, citicard, amex epayment, american express ach,
        amex autopay, discover e payment, discover bank, capital one crcardpmt, capital one mobile, barclaycard
        us, barclays credit, synchrony, syncb, comenity, wells fargo card, bk of amer visa, bank of america
        credit, applecard gsbank, gsbank, apple card, klarna, affirm, afterpay, dept education, dept of
        education, us dept of ed, carrington mortgage, flagstar, dovenmuehle, loancare""",
    "BANK_FEES": "overdraft, nsf, atm fee, foreign transaction fee, monthly maintenance fee, late fee",
    "INCOME": """
        gusto, adp, paychex, adp payroll, ssa treas, ssi treas, irs treas, ui benefit, workday payroll,
        rippling, trinet, paycom, paylocity, ceridian, dfas, social security, edd, opm1""",
    "TRANSFER_OUT": """
        vanguard, fidelity, schwab, charles schwab, robinhood, coinbase, betterment, wealthfront, acorns, e
        trade, etrade, m1 finance, kraken, binance, stash, webull, td ameritrade, merrill, interactive brokers,
        gemini trust, public com""",
}

# Words that name a trade or a kind of row. Strength: ``!`` decisive, none strong, ``?`` a hint.
WORDS: Final[dict[str, str]] = {
    "INCOME": """
        payroll! salary! wages! paycheck! dirdep! dir? direct? dep? dividend! dividends! pension! annuity! bonus
        stipend commission? interest? int? earned? benefits? unemployment! retirement? royalties! royalty!
        reimbursement reimb? employer? freelance payout! payouts! earnings! lohn! gehalt! nomina! salaire!
        disbursement? ssa! honorarium! tips? consulting? rebate? cashback! taxrfd! net? severance! fica?
        paycheque! wage! remuneration! expense? invoice?""",
    "TRANSFER_IN": """
        xfer transfer! deposit! zelle! venmo! cashapp! mobile? wire! remote? cash? from? received? iat? p2p!
        revolut? wise? tfr! trnsfr! incoming? topup! loan?""",
    "TRANSFER_OUT": """
        xfer transfer! withdrawal! zelle! venmo! cashapp! wire! savings! brokerage! investment! investments
        investing! invest! ira! roth! 401k! 529? atm! cash? cashback? to? p2p! revolut? wise? remittance
        western? moneygram! tfr! trnsfr! securities! crypto bitcoin!
        bargeld! ueberweisung! cashpoint! sweep? remitly! xoom! etf! contribution? allocation? checking?""",
    "LOAN_PAYMENTS": """
        loan! loans! mortgage! mtg! mtge! lending! lender! student? financing finance? installment! instalment!
        autopay? cardpmt! crcardpmt! crcardpymt! epayment? heloc! escrow! creditcard! kredit! auto? principal?
        navient lien credit? crd? card? servicing!
        loanpmt! loanpymt! servicer! refi? studentloan! carloan! motors? acceptance? cardmember! thank? thankyou?""",
    "BANK_FEES": """
        fee! fees! overdraft! nsf! surcharge! penalty? maintenance? service? charge? charges? od? insufficient!
        interest? finance? foreign? late? annual? returned? item? monthly? cash? advance? stop? gebuehr!
        commission? minimum? balance?""",
    "ENTERTAINMENT": """
        cinema! cinemas! theater! theatre! theatres! movie! movies! film films tickets ticket? ticketing
        concert! concerts! museum! museums zoo! aquarium! arcade! bowling! bowl? lanes golf! casino! lottery!
        lotto! gaming! game? games! play? stadium! arena! amphitheater! festival!
        streaming! stream? tv? video music! radio? opera! ballet! symphony! philharmonic! orchestra! jazz?
        comedy! karaoke! billiards! escape? trampoline! amusement! park? skating! ice? rink! ski! climbing?
        paintball! laser? planetarium! gallery? karting! nightclub! club? bet? betting! sportsbook! poker!
        bingo!
        podcast! playhouse! circus! theme? waterpark! carnival? fair? drafthouse! fun? minigolf! putt! show?
        shows? screening! esports! ticketweb! boxoffice! drive? racing? speedway? observatory! gardens?
        botanical? dance? magazine! magazines news? newspaper! times? tribune! herald! gazette! journal? daily?
        improv! cabaret! plex? flix! imax! axe? vr? vinyl? records? entertainment! leisure recreation? fitness?""",
    "FOOD_AND_DRINK": """
        restaurant! restaurants restaurante! cafe! caffe! coffee! espresso! roasters! roaster! roastery!
        coffeehouse! tea? teahouse! boba! bakery! bakehouse! bakeshop! banh! banhmi! custard! patisserie!
        boulangerie! pastry! pastries! donut! donuts! doughnut! bagel! bagels! deli! delicatessen! sandwich!
        sandwiches! subs! sub? burger! burgers! grill! grille! bbq! barbecue! barbeque! smokehouse! steakhouse!
        steak! chophouse!
        pizza! pizzeria! pizzas trattoria! osteria! ristorante! enoteca! pasta! italian? taqueria! taco! tacos!
        burrito! burritos! cantina! mexican? cocina! sushi! ramen! noodle! noodles! izakaya! teriyaki! hibachi!
        pho! thai! viet? bistro! brasserie! gastropub! pub! tavern! taphouse! taproom! brewery! brewing!
        brewpub! beer! ale! winery! wine! wines! vineyard! vineyards! cellars! liquor! liquors! spirits!
        distillery! bar! lounge? saloon! alehouse!
        diner! eatery! kitchen! food! foods! foodmart? grocery! groceries! grocer! grocers! supermarket!
        supermarkets! supermercado! market! mkt! markets mercado! farmers? farm? farms? produce! butcher! meats!
        meat! seafood! fish! oyster! crab! lobster! shrimp! chicken! wings! rotisserie! kebab! kabob! gyro!
        gyros! falafel! shawarma! mediterranean! indian? curry! tandoori! masala! biryani! wok! dim? sum?
        dumpling! dumplings! szechuan! sichuan! hunan! mandarin! peking! chinese?
        korean? gelato! gelateria! creamery! icecream! cream? yogurt! froyo! juice! juicery! smoothie!
        smoothies! salad! salads! soup! poke! crepe! crepes! creperie! waffle! waffles! pancake! pancakes!
        brunch! breakfast! lunch! dinner! supper! cater! catering! canteen! cafeteria! snack! snacks! vending!
        candy! chocolate! chocolates! chocolatier! confectionery! cheese! cheesery! fromagerie! pretzel!
        cookies! cookie! cupcake! cupcakes! cakes! cake! pie! pies! biscuit! bread! breads! mill? organic?
        orchard! provisions! pantry! tapas! cuisine! dining! eats! bites! bodega! superette! carniceria!
        panaderia! pollo! mariscos! birria! hotdog! hot? dog? shack? hut? oven? table? spoon? fork! chef!
        gourmet! greens? harvest? coop! co? larder! nosh! griddle! cidery! cider! meadery! vino! drinks! bottle?
        bottleshop! tap? taps! brew! brews! bean! beans! java! mocha! matcha! chai! chaat! dosa! roti! naan!
        bao! udon! soba! tofu! vegan! halal? kosher? bento! bulgogi! teppanyaki! omakase! gastro! rib! ribs!
        roadhouse! crust! slice! cocktails! cocktail! speakeasy! hops! malt! barrel? fishmonger! greengrocer!
        imbiss! backerei! baeckerei! konditorei! gasthaus! ristorant! chippy! chips? takeaway! takeout!
        foodhall! foodcourt! roast! grinds! grind? kaffee! pierogi! empanada! empanadas! arepa! arepas! ceviche!
        tortas! tortilla! tortilleria! fondue! souvlaki! taverna! meze! sandwicherie! luncheonette! rotiss!
        concessions! snackbar! milk! eggs! egg! honey? spice! spices!""",
    "GENERAL_MERCHANDISE": """
        store! stores? shop? shoppe? shops? boutique! outlet! outlets? clothing! clothiers! clothier! apparel!
        fashion! fashions! shoes! shoe! footwear! boots? sneaker! sneakers! jewelry! jewelers! jeweler!
        jewellery! jewellers! watches! watch? gifts! gift! toys! toy! books! bookstore! bookshop! bookseller!
        booksellers! electronics! computers! computer? camera! cameras! phones?
        mart! bazaar! emporium! mercantile! trading! department? discount! dollar! variety! thrift! consignment!
        vintage! antiques! antique! crafts! craft? fabric! fabrics! yarn! art? supply? supplies? stationery!
        stationers! paper? office? sporting! sports? outdoor! outdoors! outfitters! cycles? bicycles! pet! pets!
        feed? tobacco! vape! vapor? smoke? cigar! cigars! florist! flowers! floral! blooms! florists! party?
        costume! costumes! luggage! bags! handbags! leather! denim!
        tailor? lingerie! kids? baby? babies? retail! wholesale! warehouse? superstore! supercenter!
        convenience! newsstand! news? gadget! gadgets! hobby! hobbies! comics! collectibles! records? guitars!
        instruments? musical? marketplace! merchandise! goods! threads! wear! menswear! womens? mens?
        sunglasses! hats! perfume? fragrance? surf? skate? ammo! guns! firearms! tackle! bridal! uniforms!
        sundries! curios! souvenirs! souvenir! uhren! buchhandlung! mode! kaufhaus! galleria! mall! plaza?
        depot? puzzles! figurines! optics? knits! textile! textiles! sewing! quilting! beads! tech? tack?
        saddlery! pawn! treasures! trinkets! novelties! accessories! couture! atelier? wardrobe! closet! attire!
        garments! kicks! sole? card? cards? stamps? coins? nursery? electronic? gear! audio? hifi! mobile?
        general?""",
    "HOME_IMPROVEMENT": """
        hardware! hdwe! lumber! plumbing! plumber! plumbers! electrician! electrical! electric? hvac! heating!
        cooling! roofing! roofer! roof! flooring! floors! floor? carpet! carpets! rug! rugs! tile! tiles! paint!
        paints! painting! painter! painters! furniture! furnishings! furnishing! mattress! mattresses! bedding!
        sofa! sofas! decor! interiors! interior! lighting! lamps! lamp! appliance! appliances! kitchens? bath?
        baths? cabinets! cabinet! cabinetry! countertops! granite! marble! remodel! remodeling! renovation!
        renovations! construction! contractor!
        contractors! contracting! builders! builder! building? handyman! landscaping! landscape! landscapes!
        lawn! lawncare! garden! gardens? nursery! gardening! tree! arborist! pest! exterminator! exterminators!
        termite! cleaning? cleaners? maid! maids! janitorial! locksmith! locks! alarm! security! surveillance!
        windows! window! doors! door! blinds! shutters! curtains! drapery! upholstery! garage? gutter! gutters!
        masonry! concrete! paving! fence! fencing! deck! decks! drywall! insulation! chimney! pool! pools! spa?
        septic! drain! rooter! restoration! carpentry! carpenter! woodwork! woodworking! millwork! stone?
        housewares! homewares! home? tools! tool! moebel! baumarkt! glass! glazing! foundation? solar?
        sprinkler! irrigation! sod! mulch! mower! repair? repairs? housekeeping! homeware! futons! recliner!
        upholsterers! welding! siding! stucco! cutlery! cookware! kitchenware! linens! linen!""",
    "MEDICAL": """
        dental! dentist! dentistry! dds! dmd! orthodontics! orthodontist! ortho! endodontics! periodontics!
        oral! pharmacy! pharmacies! drug! drugs! drugstore! rx! apothecary! chemist! apotheke! farmacia!
        medical! medicine! med? clinic! clinics! hospital! hospitals! health! healthcare! wellness? doctor!
        doctors! dr! md! physician! physicians! pediatric! pediatrics! pediatrician! dermatology! derm!
        cardiology! radiology! imaging! oncology! urology! neurology! gastroenterology! obgyn! gyn! gynecology!
        surgery! surgical! surgeons! surgeon!
        urgent! care? vision! optical! optometry! optometrist! optometric! eye! eyes! eyecare! eyewear!
        ophthalmology! opticians! optician! glasses! hearing! audiology! chiropractic! chiropractor! chiro!
        physical? therapy! therapist! therapists! counseling! counselling! psychology! psychologist! psychiatry!
        psychiatric! mental! rehab! rehabilitation! acupuncture! lab! labs! laboratory! laboratories!
        diagnostics! diagnostic! ambulance! emergency! nursing! hospice! homecare! vet! vets! veterinary!
        veterinarian! animal! vitamins! vitamin! supplements! nutrition? allergy! podiatry! foot? orthopedic!
        orthopedics! orthopaedics! pain! fertility! maternity! midwife! arzt! zahnarzt! copay! prescription!
        prescriptions! nhs! dialysis! telehealth! mri! xray! anesthesia! pathology! implant! smile! smiles!
        tooth! teeth! contacts! osteopath! osteopathy! physio! physiotherapy! infirmary! medic! patient! spine!
        sleep? immunization! vaccine! vaccines! endocrinology! rheumatology! nephrology! pulmonary! ent! family?
        petcare! petclinic! behavioral! psych! speech! braces!""",
    "PERSONAL_CARE": """
        salon! salons! hair! haircut! haircuts! hairdresser! hairdressers! barber! barbers! barbershop! beauty!
        cosmetics! cosmetic! skincare! skin! nails! nail! manicure! pedicure! spa! spas! massage! wax! waxing!
        lash! lashes! brow! brows! tan! tanning! tattoo! tattoos! piercing! gym! gyms! fitness! fit! yoga!
        pilates! crossfit! workout! boxing! kickboxing! karate! martial! jiu! jitsu! taekwondo! judo! dojo!
        cycling? spin! barre! athletic? athletics? training? trainer! trainers! bootcamp! strength! swim!
        swimming! laundry! laundromat! laundrette! launderette! wash? dry! cleaners! drycleaning! drycleaners!
        cleaner! tailor! tailoring! alterations!
        grooming! groomers? shave! shaving! perfumery! parfumerie! fragrances! blowout! botox! medspa! med?
        aesthetics! esthetics! aesthetic! facial! facials! makeup! stylist! styling! styles? cuts! clips!
        shears! friseur! coiffure! kosmetik! sauna! sweat! wellness! meditation! zumba! dance? studio? tennis!
        racquet! climbing! bouldering! coin? suds! press? pressing! dermaplaning! fades! razor! blades! bath?
        soap! reflexology! cryo! glow! hammam! threading! locs! braids! wigs! rec? lifting! powerlifting!
        athlete! tumble? fluff! shoeshine! kinetic? flex? hygiene! toiletries!""",
    "GENERAL_SERVICES": """
        insurance! ins! insur! assurance! mutual! versicherung! underwriters! premium? policy! indemnity! law!
        legal! attorney! attorneys! lawyer! lawyers! llp? esq! notary! accounting! accountant! accountants!
        accountancy! cpa! bookkeeping! tax? consulting! consultants! consultancy! advisory! advisors! advisers!
        daycare! childcare! preschool! montessori! nanny! babysitting! babysitter! school! schools! academy!
        university! univ! college! tuition! education! educational! learning! tutoring! tutor! tutors! course!
        courses! class? classes! lessons! lesson! institute! instruction! driving? campus! bursar! student?
        storage! self? moving! movers! mover! courier! shipping! postage! postal! post? mail! mailing! freight!
        parcel! delivery? logistics! printing! print! prints! copy! photo! photography! photographer! studios!
        auto! automotive! autobody! car? cars? carwash! wash! tire! tires! tyre! tyres! mechanic! mechanics!
        garage! transmission! muffler! brake! brakes! oil? lube! lubrication! collision! body? detailing!
        towing! tow! smog! inspection! windshield! software! hosting! domain! domains! cloud! saas! web? online?
        subscription! services! service? agency! management? staffing! marketing! advertising! ads! design!
        designs? events? event? wedding? rental? rentals? cleaning? repair! repairs! cobbler! kennel! kennels!
        boarding! sitter! sitting! walker! walking? funeral! mortuary! cemetery! translation! dating! coworking!
        workspace! wework! hoa? association? membership? member? club? dues! society? professional! solutions?
        systems? technologies? labs? data? ai? app? apps? vpn! antivirus! backup! crm! escrow? title! appraisal!
        realty! realtor! realtors! surveying! engineering! architects! architect! it? kindergarten! camp!
        scouts! childrens? seminar! workshop! webinar! certification! exam! testing! license? steuerberater!
        kita! kiosk? locker! lockers! shred! shredding! bail! bonds! detective! secretarial! typing! resume!
        coaching! coach? mentor! curriculum! bootcamps! piano! violin! ballet?""",
    "GOVERNMENT_AND_NON_PROFIT": """
        tax! taxes! treasury! irs! gov! govt! government! county! city? state? dept! department? dmv! court!
        courts! courthouse! clerk! municipal! municipality! township! village? town? federal? passport! license!
        licensing! permit! permits! fine! fines! citation! citations! ticket? donation! donations! donate!
        charity! charities! charitable! foundation! nonprofit! church! churches! temple! mosque! synagogue!
        ministry! ministries! parish! diocese! cathedral! chapel! baptist! methodist! lutheran! presbyterian!
        catholic! episcopal! tithe! offering! relief! fund? fundraiser! campaign! committee! political! party?
        pac! rescue! shelter! sanctuary! humane! alumni! pta! pto! library! libraries! embassy! consulate!
        immigration! vehicle? registration! registry! comptroller! assessor! assessors! revenue! toll? police!
        sheriff! fire? dhs! dol! customs! finanzamt! spende! council! hmrc! dvla! public? authority? commission?
        veterans! hope? kids? children? animal? wildlife! conservation! conservancy! food? bank? ymca? union?
        trust? aid! crossing? mission! fellowship! congregation! islamic! hindu! sikh! gurdwara! bahai! quaker!
        unitarian! crusade! advocacy! bureau! magistrate! probate! census! secretary! excise! customs! levy!
        ministries! charitywater philanthropy! wikimedia!""",
    "TRANSPORTATION": """
        gas! fuel! fuels! petrol! petroleum! gasoline! oil! station! tankstelle! transit! metro! subway? bus!
        buses! train! trains! rail! railway! railroad! tram! ferry! ferries! taxi! taxis! cab! cabs! ride!
        rides! rideshare! parking! park? garage? valet! meter! meters! toll! tolls! tollway! turnpike!
        expressway! thruway! bridge? tunnel? scooter! scooters! bike! bikes! bikeshare! carshare! carpool!
        shuttle! limo! limousine! charging! charger! supercharger! ev! commuter! fare! fares! tap?
        transportation! transport! transports mobility! metrocard! pass? lot? carpark! parkhaus! airport? pump!
        truckstop! travelcenter! diesel! energy? octane! service? livery! rickshaw! moped! escooter! monorail!
        trolley! streetcar! shuttles! chauffeur! minicab! motorway! autobahn! commute! vanpool! parkade! qwik?
        kwik? gasmart! petro! refuel! tanken! biofuel!""",
    "TRAVEL": """
        airline! airlines! airways! air? aviation? flight! flights! hotel! hotels! motel! motels! inn! inns!
        resort! resorts! suites! suite? lodge! lodging! lodges! hostel! hostels! bnb! guesthouse! guest?
        guesthaus! villa! villas! cabins! cabin! cottage? cottages! vacation! vacations! holiday! holidays!
        travel! travels! traveler? trip! trips! tour! tours! touring! cruise! cruises! cruiseline! carrental!
        rentacar! rent? rental! rentals? rac! campground! campgrounds! camping! campsite! rv! airport! airfare!
        excursion! excursions! expedition! expeditions! safari! tourism! visa? reisen! aero! aeropuerto!
        aerolineas! luggage? duty? dutyfree! pousada! ryokan! pension? hospitality! bed? concierge! getaway!
        getaways! jet! jets! voyage! voyages! chalet! pension? hacienda! aparthotel! riad! hotelier! glamping!
        parador! albergo! auberge! gite!""",
    "RENT_AND_UTILITIES": """
        rent! rental? apartments! apartment! apts! apt! property! properties! prop? realty! housing! leasing!
        lease! landlord! tenant! residences! residential! estates! lofts! loft! towers? tower? towns? townhomes!
        homes? hoa! condo! condominium! management! mgmt! utility! utilities! util! electric! electricity!
        power! energy! edison! light! lighting? gas? natural? water! sewer! sewage! waste! trash! garbage!
        sanitation! disposal! recycling! hydro! internet! broadband! fiber! fibre! cable! wireless! mobile!
        cellular! cell! telecom! telecommunications! telephone! phone! telco! communications! comm? networks?
        network? isp! satellite! dsl! wifi! propane! heating? municipal? district? stadtwerke! strom! miete!
        hausverwaltung! telefon! solar! electrical? pud! mud! rec? grid! hoa! village? heights? commons? manor?
        terrace? gardens? place? villas? steam? compost! refuse! kw! kwh! sim! prepaid! broadband! landline!
        voip!""",
}

# Inside one word: "burgerhaus", "petclinic", "autoteile". Only stems long enough to be safe.
STEMS: Final[dict[str, str]] = {
    "FOOD_AND_DRINK": """
        burger pizz coffee caffe espress bakery bakeri restaur taquer sushi ramen noodle grill grocer market
        brew roast bistro tavern kitchen foods chicken donut bagel creamer gelat steak smokeh winer liquor
        supermer superm deli-cat cantin trattor osteri pancak smoothi juice sandwich kebab bbq dumpl cupcak
        teahouse eatery chocol vinoth pasteler bakehouse alehouse""",
    "MEDICAL": """
        pharm dental dentis ortho clinic medic hospit optic optom derma pediat paediat chiro psych surg health
        vetcare veterin physio radiol cardio oncol neuro apothek urgent wellnessmd eyecare vision rehab""",
    "PERSONAL_CARE": """
        salon barber beauty fitness gymnas yoga pilat cosmet hairst nailb laundr drycl skincar massag haircut
        crossf lashes browbar""",
    "TRANSPORTATION": """
        parking petrol gasolin fuel transit taxi railway scooter carpark tollway metrobus rideshar supercharg
        motorway bikeshar""",
    "TRAVEL": "hotel motel airline airway hostel resort cruise travel vacation campgr rentacar flights aparthot",
    "HOME_IMPROVEMENT": """
        furnit hardwar plumb roofing landscap flooring mattress lumber renovat contractor handyman appliance
        remodel gardencent gardening garden homedec electrician pestcontrol locksmith homegood carpet""",
    "ENTERTAINMENT": """
        cinema theat museum arcade casino gaming concert bowling aquarium streaming ticket festival playhouse
        movie karaoke lotter""",
    "GENERAL_SERVICES": """
        insur attorn account consult daycare childcar academy univers college school storage shipping courier
        automot autobody autocare autorep tire carwash mechanic tutor software hosting lawfirm legal notary
        print""",
    "GENERAL_MERCHANDISE": """
        boutiqu cloth apparel jewel bookst booksh electron fashion shoes sneaker outfitt merchand sporting
        giftsh thrift antique bicycle petstore petsuppl petshop florist toystore tobacco vape superstore""",
    "GOVERNMENT_AND_NON_PROFIT": "church charit donat foundat treasur ministr municip nonprofit humane",
    "RENT_AND_UTILITIES": """
        apartm electric wireless telecom broadband internet utilit waterw energy propert housing realty rental
        sewer fiber""",
    "LOAN_PAYMENTS": "mortgag loanpay lending autoloan studentl",
    "INCOME": "payroll salary dividen direct-dep",
    "BANK_FEES": "overdraf",
}

# Two or more words together say what none of them says alone. Weight as a decisive word or stronger.
PHRASES: Final[dict[str, str]] = {
    "INCOME": """
        direct dep, direct deposit, dir dep, interest paid, interest payment, interest earned, int paid,
        interest credit, savings interest, tax refund, state tax refund, federal tax refund, tax ref, state tax
        ref, irs treas 310, tax rfd, unemployment benefit, social security, cash back reward, cash reward,
        rewards redemption, statement credit reward, net pay,
        expense reimbursement, payroll deposit, des payroll, dir dep payroll, credit interest, annual bonus,
        pension payment, child support received, cap gain, annual percentage yield, shopify payout, stripe
        payout, stripe transfer, uber driver, etsy payout, invoice paid, child benefit, reg salary, payroll ppd,
        rental income, cashback bonus""",
    "TRANSFER_IN": """
        mobile deposit, check deposit, cash deposit, atm deposit, atm cash deposit, remote deposit, transfer
        from, xfer from, online transfer from, from savings, from checking, zelle from, zelle payment from,
        venmo cashout, cash app cash out, funds transfer from, deposit mobile, wire in, incoming wire, counter
        deposit, branch deposit, edeposit, loan proceeds, loan advance, wire type wire in, atm check deposit,
        account transfer from""",
    "TRANSFER_OUT": """
        transfer to, xfer to, online transfer to, to savings, to checking, atm withdrawal, cash withdrawal, atm
        cash, zelle to, zelle payment to, funds transfer to, wire out, outgoing wire, wire transfer, recurring
        transfer, automatic transfer, cash app, apple cash, western union, save as you go, round up transfer,
        non chase atm, brokerage transfer, roth ira, ira contribution,
        investment buy, acorns invest, venmo payment, moneyline, schwab moneylink, fid bkg, vanguard buy,
        edeposit to, check paid, transfer savings, withdrawal branch, account transfer to, atm w d, cash wd,
        internal transfer, savings plan, auto save, wise transfer, paypal transfer, paypal inst xfer""",
    "LOAN_PAYMENTS": """
        credit card payment, card payment thank, payment thank you, thank you payment, autopay payment, card
        autopay, credit crd autopay, crd autopay, credit crd epay, crd epay, card pymt, card pmt, card payment,
        cc payment, cc pymt, credit crd, student loan, student ln, auto loan, car loan, car payment, auto
        finance, auto financial, financial services, motors finance, auto pay loan, motor finance, motor credit,
        auto credit, home loan, home loans, home mortgage, mortgage payment, loan payment, loan pymt, loan pmt,
        mortgage pmt, personal loan, dept of education, dept education, education loan, ed loan, home equity,
        line of credit, financial services auto, motor acceptance, auto lease, vehicle loan, vehicle finance,
        cardmember serv, cardmember services, credit services, payment to credit card, payment to card, mobile
        payment thank, online payment thank, payment received, visa payment, mastercard payment, amex payment,
        bill pay card, boat loan, consolidation loan, ach loan""",
    "BANK_FEES": """
        service fee bank, monthly fee, maintenance fee, service charge, monthly service fee, monthly service
        charge, overdraft fee, overdraft item, insufficient funds, nsf fee, returned item, late fee, late
        charge, late payment fee, foreign transaction, foreign trans fee, foreign txn, intl transaction fee,
        international fee, atm fee, atm surcharge, atm operator, non network atm, out of network, wire fee, wire
        transfer fee, annual fee, annual membership fee, finance charge, interest charge, interest charged,
        purchase interest,
        interest charge on purchases, cash advance fee, balance transfer fee, stop payment fee, minimum balance
        fee, low balance fee, returned check, return item chargeback, account fee, account analysis, inactivity
        fee, paper statement fee, statement fee, card replacement fee, over limit fee, dormant account, currency
        conversion, conversion fee, fx fee, non bank atm, atm withdrawal fee, cashiers check fee, excess
        transaction, extended overdraft, convenience fee""",
    "ENTERTAINMENT": """
        escape room, mini golf, ice rink, theme park, amusement park, water park, botanical garden, comedy club,
        night club, art museum, science center, video games, game store, box office, drive in, performing arts,
        laser tag, go kart, bowling alley, state fair, symphony hall, ski resort, golf club, golf course,
        country club, paint and sip, axe throwing, dance hall, fun center, national park, history museum, wine
        tour, concert hall, film festival, sports arena, movie theater, ski area, ski lift, jazz club, batting
        cages, pool hall""",
    "FOOD_AND_DRINK": """
        ice cream, food mart, farmers market, fish market, meat market, wine bar, coffee bar, juice bar, tea
        house, tea room, hot dog, hot pot, dim sum, fish chips, fish fry, bar grill, bar & grill, beer garden,
        wine shop, wine cellar, bottle shop, sandwich shop, donut shop, bake shop, coffee shop, snack bar, food
        truck, food hall, dairy bar, raw bar, oyster bar, salad bar, sports bar, cocktail bar, sushi bar, noodle
        bar, noodle house, pancake house, rice bowl, meal kit, frozen yogurt, bubble tea, corner market, super
        market, fresh market, food co op, food coop, natural foods, health foods, garden cafe, cheese shop, ale
        house, public house, pho house, curry house, chop house, crab house, steak house, burger joint, pizza
        kitchen, country kitchen, fried chicken, smoke house, tap room, tea garden, chicken shack, waffle house,
        bbq pit, supper club, taco shop, candy store, liquor store, general store foods, grocery store,
        convenience foods""",
    "GENERAL_MERCHANDISE": """
        gift shop, toy store, book store, book shop, books and, pet supply, pet supplies, pet food, pet store,
        shoe store, department store, dollar store, general store, thrift store, corner store, c store, office
        supply, office supplies, art supply, art supplies, craft store, sporting goods, sports authority, surf
        shop, skate shop, bike shop, cycle shop, bicycle shop, smoke shop, vape shop, tobacco shop, cigar shop,
        flower shop, record store, game shop, party supply, camera shop, music store, convenience store, mini
        mart, minimart, quick mart, food store variety, variety store, outlet store, comic shop, cell phone
        store, computer store, army surplus, baby store, garden gifts, hobby shop, sewing center, news stand,
        card shop, candle co, running store, golf shop, pro shop, ski shop, dive shop, music shop, water sports,
        home shopping, watch shop""",
    "HOME_IMPROVEMENT": """
        home improvement, home center, garden center, garden centre, home furnishings, home furniture, home
        decor, home repair, home services, pest control, tree service, tree care, lawn care, lawn service, house
        cleaning, home cleaning, cleaning service, cleaning services, maid service, home security, alarm
        monitoring, security systems, carpet cleaning, window cleaning, power washing, pressure washing, pool
        service, pool supply, appliance repair, garage door, garage doors, air conditioning, heating and air,
        heating & air, heating cooling, water heater, kitchen and bath, kitchen bath, electric supply, building
        supply, building materials, plumbing supply, paint store, window treatments, snow removal, junk removal,
        general contractor, light fixtures, lighting center, home appliances, chimney sweep, gutter cleaning,
        foundation repair, water damage, home warranty, interior design, tool rental, septic service""",
    "MEDICAL": """
        urgent care, eye care, eye center, family medicine, family practice, family health, primary care,
        internal medicine, womens health, physical therapy, mental health, health center, health system, medical
        center, medical group, medical supply, animal hospital, animal clinic, pet hospital, pet clinic, pet
        vet, drug store, oral surgery, family dental, family dentistry, foot clinic, sports medicine, nursing
        home, senior care, assisted living, speech therapy, emergency room, health care, home health, pain
        clinic, sleep center, skin clinic, laser eye, health foods rx, vein clinic, hearing aids, hearing
        center, blood bank, er physicians, vision center, vision source, occupational therapy, plastic surgery,
        massage therapy clinic, animal care, vet clinic""",
    "PERSONAL_CARE": """
        hair salon, nail salon, nail bar, nail spa, day spa, dry cleaners, dry cleaning, dry cleaner, coin
        laundry, wash and fold, wash fold, wash dry, martial arts, personal training, personal trainer, health
        club, fitness center, fitness club, athletic club, sports club, yoga studio, dance fitness, tanning
        salon, beauty supply, barber shop, hair cuts, hair studio, hair design, skin care, med spa, tattoo
        studio, tattoo parlor, racquet club, tennis club, swim club, rock gym, climbing gym, boxing gym, cycle
        studio, spin studio, lash studio, brow bar, blow dry bar, beauty bar, wax bar, massage therapy, shoe
        repair, soap company, health fitness, wellness studio, wellness spa, recovery lounge, cut and color,
        salon and spa, salon & spa, rec center, community gym, body shop beauty""",
    "GENERAL_SERVICES": """
        car wash, auto wash, auto repair, auto body, auto parts, auto care, auto service, auto glass, auto
        center, auto insurance, car insurance, home insurance, life insurance, renters insurance, health
        insurance, pet insurance, dental insurance, vision insurance, oil change, quick lube, tire center, tire
        shop, body shop, brake service, car service center, service center, motor club, day care, child care,
        child development, after school, pre school, music school, music lessons, art school, dance academy,
        dance studio, dance school, driving school, swim school, language school, law office, law offices, law
        firm, law group, tax service, tax services, tax prep, tax preparation, financial planning, wealth
        advisors, self storage, mini storage, moving company, van lines, post office, print shop, copy center,
        ups store, pet sitting, dog walking, dog walker, pet boarding, dog daycare, pet grooming, dog grooming,
        funeral home, dating app, web hosting, phone repair, computer repair, watch repair, piano lessons, test
        prep, summer camp, parking permit services, photo studio, professional services, business services,
        wedding planner, event planning, key copy, insurance premium, ins prem, insurance co, ins co, vehicle
        inspection, dog training, tuition payment, community college, elementary school, high school, learning
        center, art classes, cooking class, cooking school, yoga teacher training, language learning, credit
        monitoring, identity protection, staffing agency, shipping center, mail center, music academy, storage
        units, equipment rental, party rental, estate planning, smog check, key cutting, ballet school, ballet
        academy""",
    "GOVERNMENT_AND_NON_PROFIT": """
        city of, county of, state of, town of, village of, dept of, department of, property tax, estimated tax,
        state tax, income tax, franchise tax, tax payment, tax board, tax collector, vehicle registration,
        parking citation, traffic ticket, parking ticket, parking violation, court fees, district court,
        superior court, municipal court, circuit court, food bank, animal shelter, animal rescue, public radio,
        public library, public media, public schools foundation, community fund, community foundation, relief
        fund, disaster relief, homeless shelter, building permit, business license, marriage license, drivers
        license, driver license, motor vehicles, fire department, political action, for congress, for senate,
        friends of, society of, children fund, childrens fund, united methodist, lutheran church, boys girls
        club, boys and girls, girl scouts, boy scouts, rotary club, lions club, land trust, peace corps, legal
        aid, refugee aid, registrar of, clerk of, us customs, parent teacher, tax levy, historical society,
        wildlife fund, youth mission, community church""",
    "TRANSPORTATION": """
        gas station, service station, gas mart, gas & go, gas go, filling station, fuel stop, fuel center, truck
        stop, travel plaza, travel center, parking garage, parking meter, parking lot, parking services, parking
        authority, city parking, airport parking, park and ride, valet parking, bus pass, bus lines, bus fare,
        transit authority, transit pass, rapid transit, regional transit, train station, train ticket, rail
        pass, yellow cab, taxi service, cab co, ride share, bike share, bike rental, scooter rental, car share,
        toll road, toll bridge, toll plaza, toll authority, ev charging, charging station, charge point, oil co,
        oil company, mobility services, water taxi, ferry terminal, car service, parking kiosk, street parking,
        municipal parking, public transit, public transport, metro transit, metro rail, light rail, commuter
        rail, fuel mart, quick fuel, gas n go, gas food, area transit""",
    "TRAVEL": """
        car rental, rent a car, car hire, bed breakfast, bed and breakfast, bed & breakfast, guest house, travel
        agency, travel insurance, duty free, air lines, cruise line, cruise lines, boutique hotel, hotel bar,
        airport hotel, rv park, vacation rental, vacation rentals, vacation home, beach resort, ski lodge,
        airport lounge, baggage fee, seat upgrade, day tours, walking tour, boat tours, sightseeing tours,
        travel services, holiday rentals, in flight, inflight, air fare, airport transfer, tour company, country
        inn, beach house, spa resort, resort and spa, resort & spa, hotel and spa, mountain lodge, sea plane,
        helicopter tours""",
    "RENT_AND_UTILITIES": """
        rent payment, monthly rent, property management, property mgmt, prop mgmt, apartment rent, web rent,
        rent pay, natural gas, gas electric, gas & electric, gas and electric, gas company, gas co, gas service,
        gas utility, gas bill, power light, power & light, power and light, power company, power co, water
        power, water district, water dept, water department, water utility, water service, water works, water
        bill, water sewer, water & sewer, public utility, public utilities, public works, city water, city
        utilities, utility bill, utility district, utility billing, utilities dept, electric co, electric coop,
        electric company, electric bill, electric service, energy services, energy company, mobile phone, cell
        phone, phone bill, wireless bill, internet service, high speed internet, cable tv, cable internet, hoa
        dues, hoa fee, homeowners association, waste management, trash service, waste services, solid waste,
        garbage service, community association, city of utilities, natural gas co, fiber internet, home
        internet, mobile bill, satellite tv, wireless services, lease payment, at the park apartments""",
}

# Spellings of one merchant; the value is the name. Only where the descriptor's words differ beyond noise.
BRAND_ALIASES: Final[dict[str, str]] = {
    "amzn": "amazon",
    "amzn mktp": "amazon",
    "amzn mktplace": "amazon",
    "amazon mktpl": "amazon",
    "amazon mktplace": "amazon",
    "amazon marketplace": "amazon",
    "amazon prime": "amazon prime",
    "amzn prime": "amazon prime",
    "amazon": "amazon",
    "sbux": "starbucks",
    "starbucks": "starbucks",
    "wholefds": "whole foods",
    "wholefoods": "whole foods",
    "whole foods": "whole foods",
    "whole foods market": "whole foods",
    "wm supercenter": "walmart",
    "wal mart": "walmart",
    "walmart": "walmart",
    "mcd": "mcdonalds",
    "mcdonalds": "mcdonalds",
    "netflix": "netflix",
    "spotify": "spotify",
    "uber": "uber",
    "uber trip": "uber",
    "uber eats": "uber eats",
    "ubereats": "uber eats",
    "lyft": "lyft",
    "trader joe": "trader joes",
    "trader joes": "trader joes",
    "costco whse": "costco",
    "costco": "costco",
    "costco gas": "costco gas",
    "target": "target",
    "home depot": "home depot",
    "homedepot": "home depot",
    "bestbuy": "best buy",
    "best buy": "best buy",
    "vzwrlss": "verizon",
    "verizon": "verizon",
    "att": "at&t",
    "at&t": "at&t",
    "tmobile": "t-mobile",
    "t mobile": "t-mobile",
    "cvs": "cvs",
    "cvs pharmacy": "cvs",
    "walgreens": "walgreens",
    "shell oil": "shell",
    "shell service": "shell",
    "shell": "shell",
    "chevron": "chevron",
    "exxonmobil": "exxon",
    "exxon": "exxon",
    "7 eleven": "7-eleven",
    "7eleven": "7-eleven",
    "dunkin": "dunkin",
    "chickfila": "chick-fil-a",
    "chick fil a": "chick-fil-a",
    "xfinity": "comcast",
    "comcast": "comcast",
    "comcast xfinity": "comcast",
    "pg&e": "pg&e",
    "pge": "pg&e",
}


def _split_words(text: str) -> list[str]:
    return text.split()


MERCHANT_TYPE_WORDS: Final[frozenset[str]] = frozenset(
    word.rstrip("!?")
    for block in WORDS.values()
    for word in _split_words(block)
    if not word.endswith("?") and len(word.rstrip("!?")) > 2
)
