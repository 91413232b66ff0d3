"""Everyday words that are a slip away from a word of the vocabulary, and are none: "store" is no "score". Data."""

from __future__ import annotations

from typing import Final

REAL_WORDS: Final = frozenset(
    """
    accordingly accountant accounted acre action activate actively activism activist activists addressed
    addresses advised adviser aide aided aids aims airplane alcoholic alex alone alter alternate alternatively
    always amen among apex apparent appeal appealed appeals apple applies archives arena arise arms asses assess
    asset atoms automated automation aviation babe backing bait bake baked baking ball balls banana band bands
    bang banging banning bans bare bark barn barriers bart bash basic basics basin bass bath bats battles bean
    bear bears beast beat beck beef bees believed believer believers bell bells belt benedict benefited bent
    beside beth bets bias biased bids billy bind bitter blank block blocking blog blogging boarding boeing bones
    boobs boom boot booth boots boring born bottle boxer boys bracelet brad brake branding bred breed briefing
    broad broker brook brooke brooks brown buck bugs builders building bull bulls bullying buried burst bury
    bush bust butter cage cake cakes calculated call camp cancer cane cant cape capita capitol caps cared carey
    carl carr cart case cases cast casting casually cats cause cautious cave caves certainly certainty chair
    chairs chan chance chances chang channels chargers charles charming chatting cheating checked cheek cheeks
    cheer cheering chemistry chick chicks chile chili chill chin chip chop christian christians chuck cigarette
    cite clarity clash classics clean cleaner clearing clicking clinical closes closet clue coast coat coated
    coating coats coding cody coke cold cole colleague collecting collective collector coma combine combines
    commanded commented commenting comments commerce committee committees committing comp companion companions
    compassion compete competing compiled completed completely composed composer computing concealed concept
    concepts concern concerns concrete cone confession confined confused connection connects consider constant
    construct consume contacted content contests contracted contractor contrary contrast convention conversation
    convert converted converting cope coping cops cord core corp corps correction correctly cosmetic costa couch
    counter counties county coupled court courtesy courts cracking crap crash creating creditors creed creek
    creepy cross crossing crow cubs cunt cure curse curtain curtains cute dairy daisy dale damaged dame dana
    dare daring dash dave dawn dead deadline deaf dealer dean debating debut deceased declared dedication deer
    defining definite delicate deliver delivering delivers dell denial dent depicted depressed depressing dept
    destined detached detail detailed detained detected developer developers dial diane dice died dies
    differently dime dire directed directly director disc discussed disk displayed distance distract distributor
    district disturbed dive divided diving doesnt dogs doin doll dome dominate dominated domination dong dope
    dose doses dots doug dove doyle drag drank drilling drive drone drown drowning drum dual duration dutch
    dying earl ears ease east eden educated educational eighth eighty electron electronic emergence empire
    employed employee employees entirely entirety entities episode equality equation estimated evan excessive
    exchanged excluded expected expert expertise expired explain explained explorer explosive extended extending
    extensive face faces fact faction factions fade fail fails fairness fake falling fame familiar farm farms
    farther fashioned fate feast feat feather feathers feed feeds feel feeling feelings feels feet felt fest
    fever fight fights figured filed filing film filmed filming finale financed financial fined finest finishes
    finn finnish fire fired fires fist flag flawed fled flee flex float flood flour flower fold folk followed
    fond fool foot forced forcing ford foremost forged form formed forming fort forth foul found founding france
    frances francis franco friction frog fully function funding funk gain gallon gambling gases gate gates gaze
    gems gene generate gettin glow gods goin golf gore governmental gown grande grant grass grave greatness
    greeting greg grey grind guest guests guts hail hairy hall halls halo halt handled handling handy hang hank
    hans hard hardcore hare hate hating head headline headlines heal healing hear hearing hearings heart heath
    heaven heir held hell herb herd hero hers hide hides hiding hiking hired historic hold holdings holt holy
    homer hope horse horses hose hour housed hugh hugo hugs ideal ignorant ignored improved increasingly
    infected infection info inherent initiate injected inserted insights insisted inspiring install instance
    instances instrument instruments insulation insulting insured interact internal interpret intro invented
    investor involved involves iran isolation ivan jane jean joan john jokes jonas journals judy jumper jung
    junk jury kills kinda kindle king kings kiss kits knew knot known knox labs lace lads lake lame lane lang
    laps lasting later latter launch launched launches lawn leaking lean leaning learning lease legs lend
    lending lens lent lester liability licensed lied life lift lifting lifts lighting liking lime limiting lined
    liner lining link linked lisa listening liver load loading loads locality locate lock locking logan logging
    logs lone lookin loop lose loser loss love loved lover loves loving loyal luke lung lust lynch machinery
    maid maine maker makers male males mall manly mann mans maps marc marching marco marking marsh mary mask
    masks match matching maternal math matt meant measured meat mechanical mechanism mechanisms medal medals
    media medicaid medicare medieval meditation meet megan melt menu mere metal metals meter metre metres mets
    mice mick mighty mike mild mile mill mills mind minds mini ministry mint minute miss mist mode modes moist
    mole momentum monkey monte monument moore moses moss mouth mouths movement must mute naked nancy nate
    nationally neat necessarily necessity nerd nice night nike nina nineteenth node nope norman nose note nothin
    noting numbered obligation occasional offering officer officers older opener opposition optional otto ounce
    outdated outfit oven owen owes pace pack packed packers packing packs pact pads pain pains paint paints pair
    palace pants paper papers para parcel parent parental paris parked particularly party passes password pasta
    paste patents patients patrol payne peace pearson peek pens performed performer persona personality
    personnel pete peterson petition physical picture pictured piece pill pins pint pissed pits placed plain
    plains planet plant plants plate plates play played player players playing playoff playoffs plays pleased
    pleasure plug poet poets pointing poker police politics poll pond poor pork port pose posing positioned
    positive powder prayed prayer prayers praying precedent precious predicted premises presidency pride prince
    princes princess printing prize prizes produced producer producers produces product profiles projected
    promotion prompted promptly prone properly proposes proposition prospect prospects prosperity prostate
    protect protects protests provide provided provides publicly pulp quad questioned quiet quite quiz race
    races racing rack radio rage raid raising rally rand rang ranged ranging rant rape raped rare rated rats
    reaches reaching reaction ready real realised rear reasonably rebounds receiver receivers recommended
    recorded recorder recording reed referring refuge refused refusing regain regarded regulate regulated
    regulation reid rejected rejection relate relates relatively relaxation relaxed relaxing relay released
    releasing reliance relieved religion remainder reminded reminding rendering renewable repaired repeal
    repeatedly replaced replacing replay reply reportedly reporter reporters reporting requiring reserved
    reserves resort respected respective rest resting resulted retain retained retaining retarded retired
    returning reuters revealed revealing revelation revenge reviewing reward rewarding rhode rica rice rick rico
    rider riders ridge riding ripe risk risks roar role rome rope rosa ross rotating rotation rouge routine rude
    ruin ruining ruins ruth sack sacked safer sage sail sale salem salmon sand sands sane sang saying scales
    scan scanning scar scare scares scent schedule schedules scope scored screaming scum seal sean seas seating
    seattle secondly sections securing seed seeds seek seeks seize sell selling separated seth settlers settling
    severity shade shades shaft shake shaking shale shame shane shape shapes shaping shared shark sharks sharp
    shave shaved shaw shelf shelters shifting ship shipped ships shirt shit shock shocked shocking shoot
    shooting shore shores short shortage shorts shoulder shout shouting shove shown shrine shut shutting side
    sigh silk simple sing sings sins site sits situation situations sixth sized skate skill skip slack slam slap
    slapped slate slave slaves slept slice slick slides slim slipping slot slow small smash smashed smell snack
    snacks snake soaked socially soft sole song sons sore sounding spam spare speaking specified speed speeding
    speeds spell spelled spelling spill spinning spit splitting sport sporting sports spot spreading sprint stab
    staff stage staged stake stall stamp stan star stare staring stark starred starring stars starter starters
    starving stat stated stating stationed stats statue stealing steelers steering stem stems step stepped
    stepping steven stick sticks stiff stirring stoke stole stone stones stopping stored stories storm storms
    story stove stray string stripped stuart stuck stunning submarine suns sats subscribers successes successor suck
    sucked sued suggested suggesting sung supplied surviving suspicion sweat sweating swelling swept swift
    switched switches systemic tablet tags tail tale tales talk talking tape tapes tapped task tate teach
    teaching team teams teen tent term thai thee theme theo thick thin thirsty thorough threat threaten
    threatens threats throwing thus tick tide ties tile tiles tilt timer tips tire tires tits todd toes token
    tone tons tool tools topped torn tough toys trace tract tracy trail trails trainers training trait traits
    transform transformation transformed transition translated translation translations translator transmit
    transported trap traps travelers travellers tray treaties treaty tree trent trick tries trim trio troll
    tropical truck tucker tuned turf turks turner tying unit unite unity universe unusually upper user vague
    valuation valued valve variation variations varies vent vera verb verses vest visitors vista wade wait
    waited wake wakes wales walk walt walter wander wandering wang warn wash washed wasnt watt wave waves ways
    weak weakened weed west whale wheat while white whoa whore whose wide width wild wind wing winner wins wipe
    wiped wish witch wondered wong word wore worm worn worrying worse worthy wound writer wrote yeah youre
    """.split()
)
