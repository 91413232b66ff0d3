"""A merchant's name is a name wherever it stands, and words of any script are words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.agents.offline.reading.name_reading import capitals
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.domain.transactions import Transaction

AS_OF = date(2026, 11, 24)


def row(
    day: date, amount: str, text: str, name: str | None = None, category: str = "GENERAL_MERCHANDISE"
) -> Transaction:
    return Transaction(
        transaction_id=f"{day}{amount}{text}",
        account_id="a",
        posted_on=day,
        amount=Decimal(amount),
        currency="USD",
        description=text,
        merchant_name=name,
        category=category,
    )


def ledger(name: str, *, named: bool) -> list[Transaction]:
    text, said = f"{name.upper()} #0423", name if named else None
    return [
        row(date(2026, 9, 3), "-11.00", text, said),
        row(date(2026, 10, 4), "-12.50", text, said),
        row(date(2026, 10, 20), "-7.25", text, said),
        row(date(2026, 10, 21), "-100.00", "COSTCO WHSE #11"),
        row(date(2026, 11, 2), "-5.00", "ZED SHOES"),
    ]


NAMES = """Best Buy|Whole Foods|Five Guys|Dollar Tree|First Watch|Next|Ross Dress for Less|Monday.com|May Company
Total Wine|Big Lots|Five Below|99 Cents Only|Half Price Books|Save A Lot|Average Joe's|Once Upon A Child|More Than
Change Please|Three|Largest Little Shop|Friday's|Who What Wear|Where's Waldo Books|Compare Cafe|Less Is More
Refund Coffee|Everything But Water|Will's Diner|Future Shop|Budget Rent|Points Cafe|Count On Us|Item 9 Labs
Twenty One|Today's Kitchen|Forty Winks|Пятёрочка|Кофе Хауз|すき家""".replace("\n", "|").split("|")
QUESTIONS = {
    "How much did I spend at {name} in October?": "19.75",
    "{name} spending in October": "19.75",
    "October total for {name}": "19.75",
    "How much did I spend at {name} and Costco in October?": "119.75",
    "when did I last go to {name}?": "2026-10-20",
    "how many times did I go to {name} in October": "2",
    "what was my largest {name} purchase": "12.50",
    "did I spend more at {name} than at Costco in October": "no",
}


@pytest.mark.parametrize("named", [True, False], ids=["named", "by its descriptor"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_made_of_question_words_is_a_name(name: str, named: bool) -> None:
    rows = ledger(name, named=named)
    said = {question: str(answer(question.format(name=name), rows, as_of=AS_OF).value) for question in QUESTIONS}
    assert said == QUESTIONS


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("did I spend more than 110 in October", "yes"),
        ("how much did I spend in the next three days", "None"),
        ("what are my three largest purchases", "3"),
        ("what was my first purchase", "11.00"),
        ("how much did I spend last month", "119.75"),
        ("how much have I spent in total", "135.75"),
    ],
)
@pytest.mark.parametrize("name", ["More Than", "Next", "Three", "First Watch", "Last Call", "Total Wine"])
def test_the_words_of_a_name_keep_their_meaning_elsewhere(name: str, question: str, value: str) -> None:
    got = answer(question, ledger(name, named=True), as_of=AS_OF).value
    assert str(len(got) if isinstance(got, list) else got) == value


@pytest.mark.parametrize("named", [True, False], ids=["named", "by its descriptor"])
@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("Union Creek Coffee by month", "2"),
        ("what did I pay for Union Creek Coffee in October", "19.75"),
        ("on what date was my largest Union Creek Coffee purchase", "2026-10-04"),
        ("payment to Union Creek Coffee in October", "19.75"),
    ],
)
def test_a_name_takes_no_other_words_with_it(question: str, value: str, named: bool) -> None:
    got = answer(question, ledger("Union Creek Coffee", named=named), as_of=AS_OF).value
    assert str(len(got) if isinstance(got, list) else got) == value


def test_a_kind_of_rows_is_no_name() -> None:
    rows = [
        *ledger("Zorb", named=True),
        row(date(2026, 10, 2), "-60.00", "ATM WITHDRAWAL", category="TRANSFER_OUT"),
        row(date(2026, 10, 3), "2000.00", "PAYROLL", category="INCOME"),
        row(date(2026, 10, 5), "4.00", "INTEREST PAYMENT", category="INCOME"),
    ]
    asked = {"how much did I take out of ATMs in October": "60.00", "what interest did I earn in October": "4.00"}
    assert {question: str(answer(question, rows, as_of=AS_OF).value) for question in asked} == asked


FOREIGN = {
    "Сколько я потратил на Netflix в октябре?": "сколько",
    "сколько at Netflix in October": "сколько",
    "how much did I spend at Netflix в октябре": "октябре",
    "Netflix в октябре": "октябре",
    "total Netflix за октябрь": "октябрь",
    "Netflixで十月にいくら使いましたか": "十月",
    "Netflix 今年": "今年",
    "how much 花费 at Netflix": "花费",
    "Netflix 얼마": "얼마",
    "كم أنفقت على Netflix": "أنفقت",
    "כמה הוצאתי על Netflix": "הוצאתי",
    "σύνολο για Netflix": "συνολο",
    "Netflix में कितना खर्च": "खर्च",
    "Netflix เดือนนี้": "เดือนนี้",
    "რამდენი Netflix": "რამდენი",
    "ինչքան Netflix": "ինչքան",
    "Combien ai-je dépensé chez Netflix en octobre ?": "combien",
    "total Netflix août": "aout",
    "total Netflix aout": "aout",
    "Netflix sans": "sans",
    "spending inte Netflix": "inte",
    "Wie viel habe ich bei Netflix im Oktober ausgegeben?": "ich bei",
    "¿Cuánto gasté en Netflix en octubre?": "cuanto",
    "ile wydałem w Netflix": "ile",
    "Netflix ٢٠٢٥": "٢٠٢٥",
    "Netflix за": "за",
    "Netflix を": "を",
}


@pytest.mark.parametrize(("question", "word"), FOREIGN.items())
def test_what_no_list_explains_is_named_in_any_script(question: str, word: str) -> None:
    rows = [row(date(2026, month, 4), "-15.49", "NETFLIX.COM", "Netflix") for month in (9, 10)]
    got = answer(question, rows, as_of=AS_OF)
    assert (got.outcome_code, got.value, got.transaction_ids) == ("cannot_answer", None, ())
    assert word in got.text


@pytest.mark.parametrize("picture", ["💸", "— 🙏", "…", "！", "«»", "→", "•", "​"])
def test_pictures_and_marks_say_nothing(picture: str) -> None:
    rows = ledger("Netflix", named=True)
    assert str(answer(f"how much at Netflix in October {picture}", rows, as_of=AS_OF).value) == "19.75"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How much did I spend at Next in May?", {"next"}),
        ("how much did I spend at next", set()),
        ("How Much Did I Spend At Next", set()),
        ("HOW MUCH AT NEXT", set()),
        ("Monday or Best Buy. Three times", {"best", "buy"}),
    ],
)
def test_a_capital_counts_where_none_is_due(question: str, words: set[str]) -> None:
    assert capitals(question) - {"i"} == words


def test_tidy_keeps_the_words_of_every_script() -> None:
    assert tidy("“Кофе” – 漢字, CAFÉ’s 5€ 💸") == '"кофе" 漢字 , cafe\'s 5€'
