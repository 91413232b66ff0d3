"""Which messages ask for a high-impact action. Versioned rules over the text, decided before any model is asked.

The rule set, in the order in which it is applied:

1. **Readings.** The text is folded (compatibility forms, case, accents, invisible characters) and read several ways:
   with look-alike letters of other scripts replaced, with digits and signs read as letters, with spelt-out words joined,
   and with whatever it carries encoded (base64, hexadecimal, percent, HTML, reversed, rot13). One reading that asks for
   an action suffices.
2. **Clauses.** Each reading is cut at punctuation and conjunctions; every clause is judged by its frame.
3. **Frames.** A clause whose main predicate asks or shows ("how much did I pay", "list payments") is a question. There
   an action counts only where it is asked of the assistant after all ("could you", "and then send it"). Any other
   clause asks for an action where it has an action verb as a verb (not a noun, "my last transfer"; not the past, "I
   paid"; not a habit, "I pay 20 a month"), a passive that is wanted ("the rent needs to be paid"), or an idiom.
4. **Negation.** "don't send anything" asks for nothing; "don't forget to send" does.
5. **Doubt goes to a person.** What is neither question nor harmless and has an action in it needs an approval.

Other languages follow the same frames with their own verbs and question words. The rules know no household, no
account and no history; nothing that a model says can loosen them. Change ``POLICY_VERSION`` with every change here.
"""

# ruff: noqa: E501 - word lists and patterns read worse when they are broken
from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from mosaic_core.domain.envelope import PolicyDisposition as Disposition

__all__ = [
    "NO_ACTION",
    "POLICY_VERSION",
    "Assessment",
    "Disposition",
    "ImpactClass",
    "ProposedAction",
    "assess_message",
    "normalise",
    "proposed_action",
]

POLICY_VERSION: Final = "2026-11-24.2"

NO_ACTION: Final = "no_high_impact_action"
"""The reason code of every message that needs no approval, and of no other."""


class ImpactClass(StrEnum):
    """What an action would touch. All but the first two always need a person's approval."""

    READ_ONLY = "read_only"
    PROPOSAL = "proposal"
    MONEY_MOVEMENT = "money_movement"
    EXTERNAL_MESSAGE = "external_message"
    DELETION = "deletion"
    ACCOUNT_CLOSURE = "account_closure"
    PAYEE_CHANGE = "payee_change"
    SUBSCRIPTION_CHANGE = "subscription_change"
    UNLISTED_ACTION = "unlisted_action"

    @property
    def needs_approval(self) -> bool:
        return self not in (ImpactClass.READ_ONLY, ImpactClass.PROPOSAL)


_SUMMARY: Final = {
    ImpactClass.MONEY_MOVEMENT: "move money (send, pay, transfer, buy or withdraw)",
    ImpactClass.EXTERNAL_MESSAGE: "send a message to someone outside (e-mail, text, call or sharing of data)",
    ImpactClass.DELETION: "delete or remove data",
    ImpactClass.ACCOUNT_CLOSURE: "open, close or lock an account or card",
    ImpactClass.PAYEE_CHANGE: "change payees, bank details, limits or access",
    ImpactClass.SUBSCRIPTION_CHANGE: "start, cancel or change a subscription or contract with a merchant",
    ImpactClass.UNLISTED_ACTION: "carry out an action that is not on the list of harmless ones",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the policy makes of a message: ``action`` is the impact class that it asks for, None where it asks for none;
    ``confidence`` 0 to 1; ``rationale`` one sentence without anything of the message's own text."""

    disposition: Disposition
    action: str | None
    reason_code: str
    rationale: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedAction:
    """The action that an approval would be about: ``kind`` is its impact class, ``summary`` (at most 200 characters)
    says it without raw text, ``action_hash`` is the SHA-256 (hex) of the exact text that was asked."""

    kind: str
    summary: str
    action_hash: str


def assess_message(message: str, user_note: str | None = None) -> Assessment:
    """Whether the message or its note asks for a high-impact action. Never raises; the same for any case, spacing or
    invisible characters."""
    for where, text in (("message", message), ("note", user_note or "")):
        for reading, how in _readings(text):
            found = _asked_action(reading)
            if found is not None:
                impact, frame = found
                plain = how == "plain"
                return Assessment(
                    disposition=Disposition.APPROVAL_REQUIRED,
                    action=impact.value,
                    reason_code=f"asks_{impact.value}" if plain else "disguised_action",
                    rationale=f"the {where} asks to {_SUMMARY[impact]}: {frame}"
                    + ("" if plain else f", read as {how}"),
                    confidence=0.95 if plain and frame in _SURE_FRAMES else 0.8,
                )
    return Assessment(
        disposition=Disposition.ADVISORY_ONLY,
        action=None,
        reason_code=NO_ACTION,
        rationale="nothing in the text asks for an action with effects outside",
        confidence=0.9,
    )


def proposed_action(message: str, assessment: Assessment, user_note: str | None = None) -> ProposedAction:
    """The exact action to approve. Raises ValueError for an assessment that asks for none."""
    if assessment.action is None:
        raise ValueError("an advisory message proposes no action")
    impact = ImpactClass(assessment.action)
    text = normalise(message)
    if user_note:
        text += "\n\n" + normalise(user_note)
    summary = f"Asked in the conversation: {_SUMMARY[impact]}"
    amounts = len(_AMOUNT.findall(_fold(text)))
    if amounts and impact is ImpactClass.MONEY_MOVEMENT:
        summary += f"; {amounts} amount{'s' if amounts > 1 else ''} named"
    return ProposedAction(
        kind=impact.value,
        summary=summary[:200],
        action_hash=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
    )


def normalise(text: str) -> str:
    """The message as it is hashed and approved: NFKC, no invisible or control characters, single spaces, trimmed.
    Case is kept, since names and codes carry meaning in it."""
    return _SPACES.sub(" ", _visible(unicodedata.normalize("NFKC", text))).strip()


# ------------------------------------------------------------------------------------------------------------ readings

_SPACES: Final = re.compile(r"\s+")
_AMOUNT: Final = re.compile(r"(?:[$€£¥]\s?)?\b\d[\d,.]*\b")
_EXTRA_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})
_LOOKALIKES: Final = str.maketrans(
    "аеорсухкмнтвіјѕԁԛԝһɡӏӀьѵαβγεζηικμνορτυχωϲոսցօհﺍ∂ʀꜱᴀʙᴄᴅᴇғɢʜɪᴊᴋʟᴍɴᴏᴘᴛᴜᴠᴡʏᴢɑɩ\u0131ɗʋ",
    "aeopcyxkmhtbijsdqwhgllbvabyeznikuvoptuxwcnugohldrsabcdefghijklmnoptuvwyzaiidu",
)
_LEET: Final = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"} | {"@": "a", "$": "s", "!": "i", "|": "l", "€": "e", "+": "t"})  # fmt: skip
_LEET_I: Final = str.maketrans({"1": "i", "|": "i"})
_EMOJI: Final = {"💸": " send money ", "📧": " email ", "✉": " email ", "🗑": " delete ", "🤑": " money ", "💵": " money ", "💰": " money "}  # fmt: skip


def _visible(text: str) -> str:
    """Without format characters (zero width, joiners, direction marks, tags, soft hyphens); controls as spaces."""
    kept = []
    for c in text:
        category = unicodedata.category(c)
        if category in ("Cf", "Cs", "Cn") or c in "\u115f\u1160\u3164\u034f\u17b4\u17b5" or 0xFE00 <= ord(c) <= 0xFE0F:
            continue
        kept.append("\n" if c in "\n\r\u2028\u2029\x0b\x0c\x85" else " " if category in ("Cc", "Zs") else c)
    return "".join(kept)


def _fold(text: str) -> str:
    """Lower case Latin without accents, apostrophes of contractions closed; line breaks kept as cuts."""
    text = _visible(unicodedata.normalize("NFKC", text))
    for sign, words in _EMOJI.items():
        text = text.replace(sign, words)
    text = unicodedata.normalize("NFKC", text.casefold())
    decomposed = unicodedata.normalize("NFD", text)
    # Kana and Hangul lose their meaning with their marks; only Latin, Greek and Cyrillic letters shed theirs.
    text = unicodedata.normalize(
        "NFC", "".join(c for c in decomposed if not ("\u0300" <= c <= "\u036f" or "\u1ab0" <= c <= "\u20ff"))
        if not any("\u20a0" <= c <= "\u20bf" for c in decomposed)
        else "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f"),
    )  # fmt: skip
    text = text.translate(_EXTRA_LETTERS)
    text = re.sub(r"[’‘`´ʼ′]", "'", text)
    text = re.sub(r"(?<=[a-z])'(t|s|d|ll|re|ve|m)\b", r"\1", text)
    text = re.sub(r"(?<=[^\W\d_])'(?=[^\W\d_])", " ", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _readings(text: str) -> Iterator[tuple[str, str]]:
    """(reading, how it came about), the plain one first, none twice."""
    seen: set[str] = set()
    for raw, how in [(text, "plain"), *_decoded(text)]:
        plain = _fold(raw)
        latin = plain.translate(_LOOKALIKES)
        leet = _unleet(latin)
        for reading, kind in (
            (plain, how),
            (latin, how if how != "plain" else "look-alike letters"),
            (leet, how if how != "plain" else "signs for letters"),
            (_unleet(latin, _LEET_I), how if how != "plain" else "signs for letters"),
            (_joined(leet), how if how != "plain" else "spelt-out words"),
        ):
            if reading and reading not in seen:
                seen.add(reading)
                yield reading, kind


def _unleet(text: str, first: dict[int, str] | None = None) -> str:
    def word(match: re.Match[str]) -> str:
        token = match.group()
        if not re.search(r"[a-z]", token) or "." in token[1:-1] or not re.search(r"[a-z].*[a-z]|^[$@\d][a-z]", token):
            return token
        if re.fullmatch(r"[$€]?\d+(?:k|m|b|x|d|h|am|pm|usd|eur|gbp|st|nd|rd|th)?", token) or re.fullmatch(
            r"[a-z]+\d+|[$€]\d.*", token
        ):
            return token
        return (token.translate(first) if first else token).translate(_LEET)

    return re.sub(r"[^\s,;:?()]+", word, text)


def _joined(text: str) -> str:
    """Words that are spelt out ("s e n d", "p-a-y", "pa.y") closed up, with known verbs set apart again."""

    def close(match: re.Match[str]) -> str:
        letters = re.sub(r"[^a-z]", "", match.group())
        return " " + re.sub(rf"({'|'.join(_SPELT)})", r" \1 ", letters) + " "

    text = re.sub(r"(?<![a-z0-9])[a-z](?:[\s.\-_*|/~+·]+[a-z](?![a-z0-9])){2,}", close, text)
    text = re.sub(r"(?<=[a-z])[._*~·|\-](?=[a-z])", "", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


_SPELT: Final = ("please", "transfer", "delete", "cancel", "remove", "email", "money", "close", "send", "wire", "pay")


def _decoded(text: str) -> Iterator[tuple[str, str]]:
    compact = _visible(unicodedata.normalize("NFKC", text))
    for token in re.findall(r"[A-Za-z0-9+/_-]{8,}={0,2}", compact):
        padded = token.rstrip("=").replace("-", "+").replace("_", "/")
        padded += "=" * (-len(padded) % 4)
        try:
            payload = base64.b64decode(padded, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if _legible(payload):
            yield payload, "base64"
    for token in re.findall(r"(?:\b|\\x|0x)(?:[0-9A-Fa-f]{2}(?:\s|\\x|:)?){4,}", compact):
        try:
            payload = bytes.fromhex(re.sub(r"\\x|0x|[\s:]", "", token)).decode("utf-8")
        except ValueError:
            continue
        if _legible(payload):
            yield payload, "hexadecimal"
    if re.search(r"%[0-9A-Fa-f]{2}", compact):
        yield unquote(compact, errors="replace"), "percent encoding"
    if "&" in compact and (unescaped := html.unescape(compact)) != compact:
        yield unescaped, "HTML entities"
    if re.search(r"\\u[0-9A-Fa-f]{4}", compact):
        yield re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m.group(1), 16)), compact), "escapes"
    # A foreign alphabet's gibberish is left alone: these two are read only where they yield everyday English.
    for payload, how in ((codecs.encode(compact, "rot13"), "rot13"), (compact[::-1], "reversed")):
        words = re.findall(r"[a-z]+", payload.casefold())
        if len(words) >= 3 and sum(word in _EVERYDAY for word in words) >= max(2, 0.5 * len(words)):
            yield payload, how


_EVERYDAY: Final = frozenset(
    """the to a my me please now all of and it for from in at bob money send pay transfer wire delete cancel close account
    everything dollars rent bill this that you is savings email""".split()
)


def _legible(text: str) -> bool:
    return (
        len(text) >= 4 and sum(c.isprintable() or c.isspace() for c in text) >= 0.95 * len(text) and " " in text.strip()
    )


# ------------------------------------------------------------------------------------------------------------- lexicon


def _words(text: str) -> frozenset[str]:
    return frozenset(_fold(text).split())


_M, _X, _D, _C, _P, _S, _U = (
    ImpactClass.MONEY_MOVEMENT,
    ImpactClass.EXTERNAL_MESSAGE,
    ImpactClass.DELETION,
    ImpactClass.ACCOUNT_CLOSURE,
    ImpactClass.PAYEE_CHANGE,
    ImpactClass.SUBSCRIPTION_CHANGE,
    ImpactClass.UNLISTED_ACTION,
)

# Verbs that mean an action wherever they stand as a verb.
_STRONG: Final = {
    word: impact
    for impact, block in {
        _M: """send pay transfer wire remit reimburse donate withdraw prepay repay overpay venmo zelle disburse refund
            autopay auto-pay dispatch disburse mv snd sned sedn sendd seend pya payy paay wrie wier xfer tranfer pey""",
        _X: "email emial emal eamil txt dm notify forward",
        _D: "delete erase purge wipe delte dlete deleet",
        _C: "deactivate",
        _S: "cancel unsubscribe cancle cacnel cancl canel cansel resubscribe",
        _P: "whitelist",
    }.items()
    for word in block.split()
}
# Verbs that mean an action only as the clause's main predicate: elsewhere they are everyday words or nouns.
_HEAD: Final = {
    word: impact
    for impact, block in {
        _M: """buy purchase order invest sell trade deposit lend loan tip gift give move shift shoot slide spot chip top charge
            settle cover clear put throw hand return fund bet contribute sponsor subsidise subsidize advance disperse credit
            debit load reload replenish redeem cash convert exchange loan kick route drop fork square split distribute
            allocate sweep release liquidate short bid paypal bank remunerate compensate""",
        _X: """call phone ring text message contact tell inform ask write reply respond ping whatsapp fax post publish tweet
            share upload broadcast alert invite mail report complain announce disclose submit expose leak drop fire
            give let reach warn apologise apologize thank remind introduce export cc""",
        _D: "remove trash destroy nuke shred discard clear scrub empty reset forget drop overwrite undo expunge annihilate",
        _C: "close shut terminate open apply freeze unfreeze lock unlock block unblock suspend reopen close-out disable",
        _P: """allow permit let add change update set switch swap modify edit increase raise lower decrease reduce replace register enroll enrol enable
            grant revoke assign nominate authorize authorise approve whitelist link connect install redirect reroute""",
        _S: """subscribe stop end kill ditch axe dump quit scrap nix drop renew upgrade downgrade terminate discontinue pause
            halt abort revoke dispute contest join sign resume extend""",
        _U: """book reserve hire execute initiate perform process proceed run trigger complete finalise finalize confirm sign file
            make do schedule arrange start begin issue place submit launch instruct automate carry conduct request claim""",
    }.items()
    for word in block.split()
}  # fmt: skip
# Rows that are filed, not money that is moved: "put all my Home Depot purchases under home improvement".
_FILED: Final = (
    r" (?:\w+ ){0,5}(?:purchases|charges|transactions|orders) under (?!.*\b(?:accounts?|cards?|name|payees?)\b)"
)
# What a head verb must be about to count; the others count with any object.
_MONEY_WORDS: Final = (
    rf"(?:[$€£¥]|\d|\b(?:money|cash|dollars?|bucks?|euros?|quid|pounds?|funds?|savings?|checking|account|balance|everything|half|rest|all(?!{_FILED})|grand|pot|surplus|pence|cents?"
    r"|allowance|deposit|salary|paycheck|bonus|dough|fifty|forty|twenty|thirty|ten|hundred|thousand|crypto|bitcoin|shares?|stocks?|portfolio|investments?|positions?|usd|eur|gbp)\b)"
)
_BILL_WORDS: Final = (
    r"\b(?:bills?|rent|invoices?|debts?|tab|loan|mortgage|tuition|fees?|payments?|landlord|card|visa|amex|mastercard|dues|fine|tickets?|balance|owe|owed|owes|due|what i owe"
    r"|taxes|premium|insurance|utilities|credit|arrears|overdraft|money|share|dinner|lunch|bucks|dollars|up)\b"
)
_SETTINGS_WORDS: Final = (
    r"\b(?:payees?|beneficiar\w+|recipients?|bank details|details|account numbers?|iban|routing|sort code|password|passcode|pin|address|phone|number|limits?|autopay|auto-pay|direct"
    r" debits?|standing orders?|email|e-mail|permissions?|access|users?|members?|admin|owner|role|login|contact|vendor|mandate|account|card|plan|subscription|settings?|signatory)\b"
)
_NEEDS: Final = {
    **dict.fromkeys(
        "move shift put throw give shoot slide spot chip top charge hand return fund credit debit load drop kick route advance split distribute allocate sweep release bank convert exchange split cash short bid".split(),
        _MONEY_WORDS,
    ),
    **dict.fromkeys("settle cover clear square fork".split(), _BILL_WORDS),
    **dict.fromkeys("allow permit".split(), r"\b(?:access|permission|see my|view my|log in|login|use|manage|withdraw|spend|transfer|pay|charge)\b"),
    **dict.fromkeys("add change update set switch swap modify edit replace register enable link connect increase raise lower decrease reduce assign redirect reroute".split(), _SETTINGS_WORDS),
    **dict.fromkeys(
        "make do execute initiate perform process run trigger complete finalise finalize confirm schedule arrange start begin issue place submit launch instruct carry conduct request claim proceed".split(),
        r"\b(?:payments?|transfers?|wires?|refunds?|purchases?|orders?|deposits?|withdrawals?|donations?|transactions?|autopay|direct debits?|trades?|remittances?|cancell?ations?|moves?|sending|paying|ach|it"
        r"|deletions?|e?mails?|calls?|reservations?|sale|subscription|membership|trial|closure|order|claim|dispute|chargeback|bacs|sepa|pix|bizum|payout|disbursement|that|with|wire|users?|payee|beneficiary|authori[sz]ed|owner|admin)\b",
    ),
    "release": r"[$€£]|\d|\b(?:money|cash|funds?|payments?|wires?|transfers?|deposit|escrow|hold|it)\b",
    "stop": r"\b(?!(?:showing|telling|asking|talking|worrying|it|there|being|listing|using)\b)\w+",
    "end": r"\b(?:plan|subscription|membership|trial|contract|service|it|my|the)\b",
    "top": r"\bup\b",
    "chip": r"\bin\b",
    "clear": r"\b(?:bills?|debts?|tab|loan|card|balance|it|history|data|records?|everything|all|ledger|cache|owe)\b",
    "drop": r"\b(?:an? (?:line|e-?mail|note|message|text)|table|e-?mail|subscription|membership|plan|data|ledger|line|\$?\d+)\b",
    "give": r"(?:[$€£]|\d|\b(?:money|cash|bucks|access|back|heads|permission|call|ring|notice|charity|tip)\b)",
    "let": r"\b(?!me\b|us\b|s\b)\w+(?: \w+){0,3} know\b",
    "fire": r"\boff\b",
    "reach": r"\bout\b",
    "open": r"\b(?:account|card|line|loan|position|deposit|credit|savings)\b",
    "sign": r"\b(?:up|contract|agreement|form|document|me|lease|petition|off)\b",
    "forget": r"\b(?:everything|all|my data|history|me)\b",
    "file": r"\b(?:claim|dispute|taxes|complaint|return|report|chargeback)\b",
    "report": r"\bto\b",
    "export": r"\b(?:to|email)\b",
    "report_": "",
    "reset": r"\b(?:password|pin|ledger|data|everything|account|all|history)\b",
    "run": r"\b(?:payment|payroll|transfer|command|script|sql|code)\b",
    "trade": r"\w",
    "ring": r"\w",
}  # fmt: skip
_GIVE_ME: Final = frozenset("me us".split())

_GERUND_ASKERS: Final = (
    r"\b(?:mind|how about|what about|start|begin|proceed with|proceed to|proceed by|consider|go ahead with|appreciate (?:you|your)?|feel like|keep|continue|try|recommend|propose|suggest|worth"
    r"|grateful for|thinking of|thinking about|help with|take care of|looking forward to|assist (?:me )?(?:with|in)|responsible for|stop)\b"
)
_GERUNDS: Final = {
    word: impact
    for impact, block in {
        _M: "sending paying transferring wiring moving remitting reimbursing donating withdrawing settling buying depositing venmoing",
        _X: "emailing texting messaging notifying forwarding calling contacting telling sharing informing writing",
        _D: "deleting erasing removing purging wiping",
        _C: "closing opening freezing",
        _S: "cancelling canceling unsubscribing subscribing ending terminating",
        _P: "adding changing updating",
    }.items()
    for word in block.split()
}
_PARTICIPLES: Final = {
    word: impact
    for impact, block in {
        _M: "paid payed sent transferred transfered wired moved settled remitted reimbursed donated deposited withdrawn refunded covered bought repaid returned released",
        _X: "emailed texted messaged notified forwarded informed contacted told shared called",
        _D: "deleted erased removed purged wiped",
        _C: "closed opened frozen shut deactivated",
        _S: "cancelled canceled unsubscribed terminated ended stopped axed",
        _P: "added changed updated",
    }.items()
    for word in block.split()
}
_MISSPELT: Final = "transfer delete cancel remove donate withdraw deposit remit reimburse unsubscribe terminate deactivate forward notify message subscribe purchase erase".split()
# Everyday words that a slip of the pen would turn into an action verb.
_NOT_MISSPELT: Final = _words(
    """massage massages messages messaged remix limit remits terminal terminals deposits deposited notifies delta deluxe cancer channel chancel cancels
    canceled cancelled withdrew withdrawn withdraws withdrawal transfers transferred transferring deletes deleted removed removes remove? donated donates donation forwards subscribed
    subscribes subscriber purchases purchased remote permit emit merit detour related release relate pellet donat unsubscribed terminated reimbursed erased notified
    cancelling canceling deleting forwarded withdrawals purchaser purchasing messenger message? deposit? removal removing terminates transferable normal renovate dictate debate
    elate dilute translate forwarding phrase please crease grease raise rerase eras remoe notice modify notify? erases transform reserve remover donuts denote donor"""
)

# Other languages: action verbs in the forms that ask (imperative, infinitive, subjunctive). Folded as the text is.
_FOREIGN: Final = {
    word: impact
    for impact, block in {
        _M: """
            envia envie enviar envies enviame envialo enviale envieme enviarle enviarme mandar manda mande mandes mandame mandale pagar paga pague pagues pagalo pagame pagarle pagaras pagara paguen transferir
            transfiere transfiera transfieras transfiereme transferirle mueve mover mueva gira girar gire deposita depositar deposite retira retirar retire dona donar compra comprar compre vende vender invierte invertir
            abona abonar abone liquida liquidar ingresa ingresar reembolsa reembolsar prestale presta
            envoie envoyer envoyez envoies envoyiez paie paye payer payez paies payes vire virer virez transfere transferer transferez verse verser versez regle regler reglez depose deposer retirer retirez achete acheter
            achetez vends vendre rembourse rembourser remboursez donne donner investis investir debourse
            uberweise uberweisen uberweist uberweis uberweisst ueberweise ueberweisen sende senden sendest schick schicke schicken schickst zahle zahlen zahl zahlst bezahle bezahlen bezahl bezahlst begleiche begleichen
            transferiere transferieren spende spenden kaufe kaufen kauf verkaufe verkaufen einzahlen abheben anweisen verschiebe verschieben verschieb mach mache machen macht tatige veranlasse veranlassen investiere zuruckzahlen
            transfira transfere transfiras pagues envies mova mover deposite saque sacar doe doar compre venda vender invista quite quitar
            invia inviare invii inviami inviagli mandare mandi mandami mandagli mandale pagare paghi pagami pagala trasferisci trasferire trasferisca trasferiscimi bonifica bonificare versa versare sposta spostare preleva
            prelevare dona donare compra comprare vendi vendere salda saldare rimborsa rimborsare accredita
            stuur sturen stuurt betaal betalen betaalt overmaken overboeken overschrijven maak boek verplaats verplaatsen stort storten doneer doneren koop kopen verkoop verkopen schrijf afrekenen voldoe terugbetalen
            переведи перевести переведите отправь отправить отправьте заплати заплатить заплатите оплати оплатить оплатите перечисли купи купить
            przelej przelac wyslij wyslac zaplac zaplacic oplac kup gonder gonderin ode odeyin havale skicka betala overfor swisha maksa siirra laheta kirim bayar transferkan bayarkan zaplat posli
            حول أرسل ارسل ادفع भेजो भेजें भुगतान""",
        _X: """escribe escribir escriba escribele avisa avisar avise avisale dile llama llamar llame llamale notifica notificar contacta contactar informa informar comparte compartir responde responder reenvia reenviar
            ecris ecrire ecrivez previens prevenir prevenez appelle appeler appelez contacte contacter informe informer partage partager reponds repondre transmets transmettre
            schreib schreibe schreiben benachrichtige benachrichtigen informiere informieren kontaktiere kontaktieren teile antworte antworten ruf rufe anrufen weiterleiten maile mailen
            escreva escrever avise ligue ligar contate contatar notifique compartilhe responda encaminhe encaminhar diga
            scrivi scrivere scriva avvisa avvisare avverti chiama chiamare contatta contattare informa condividi condividere rispondi rispondere inoltra inoltrare notifica
            mail bel bellen app appen waarschuw informeer deel delen antwoord doorsturen
            напиши написать сообщи позвони napisz zadzwon""",
        _D: """elimina eliminar elimine elimines borra borrar borre borres suprime suprimir suprima
            supprime supprimer supprimez efface effacer effacez losche loschen loscht loesche loeschen entferne entfernen
            apaga apague apagar apagues exclua excluir exclui delete remova remover cancella cancellare cancelli elimini eliminare rimuovi rimuovere
            verwijder verwijderen wis wissen удали удалить удалите сотри usun usunac sil silin radera ta-bort poista hapus احذف हटाओ""",
        _C: """cierra cerrar cierre cierres abre abrir abra bloquea bloquear bloquee ferme fermer fermez cloture cloturer cloturez ouvre ouvrir ouvrez bloque bloquer
            schliesse schliessen schliess eroffne eroffnen sperre sperren feche fechar encerre encerrar abra bloqueie chiudi chiudere chiuda apri aprire blocca bloccare
            sluit sluiten open openen blokkeer blokkeren opheffen закрой закрыть закройте zamknij kapat""",
        _S: """cancela cancelar cancele canceles anula anular anule suscribe suscribirme desuscribe annule annuler annulez resilie resilier resiliez abonne kundige kundigen kundig kuendige kuendigen storniere stornieren
            cancele cancelar assine assinar disdici disdire disdica annulla annullare annulli disattiva disattivare opzeggen zeg annuleer annuleren отмени отменить отмените anuluj iptal avsluta""",
        _P: """cambia cambiar cambie modifica modificar agrega agregar anade anadir change changer changez ajoute ajouter ajoutez andere andern fuge hinzufugen altere alterar adicione adicionar mude mudar
            aggiungi aggiungere cambiare modificare wijzig wijzigen voeg toevoegen""",
        _U: "haz hacer haga realiza realizar fais faire faites effectue effectuer effectuez faca fazer realize fai fare esegui effettua ejecuta doe",
    }.items()
    for word in _fold(block).split()
}
# Words of the lists above that are everyday words of English or of a neighbour language: they need a noun of the trade.
_FOREIGN_NEEDS: Final = {
    **dict.fromkeys(
        _words("haz hacer haga realiza realizar realize fais faire faites effectue effectuer effectuez faca fazer fai fare esegui effettua ejecuta doe"),
        r"\b(?:transferencia|pago|envio|giro|bizum|donacion|virement|paiement|versement|don|transferencia|pagamento|pix|doacao|bonifico|versamento|betaling|overboeking|reembolso)\b",
    ),
    **dict.fromkeys(_words("cambia cambiar cambie modifica modificar agrega agregar anade anadir change changer changez ajoute ajouter ajoutez andere andern fuge hinzufugen altere alterar adicione adicionar mude mudar aggiungi aggiungere cambiare modificare wijzig wijzigen voeg toevoegen"),
        r"\b(?:iban|beneficiari\w+|beneficiaire|empfanger\w*|begunstigde|cuenta|compte|konto|conto|conta|rekening\w*|limit\w*|clave|passwort|contrasena|mot de passe|senha|password)\b"),
    **dict.fromkeys(_words("maak boek"), r"\bover\b"),
    **dict.fromkeys(_words("mach mache machen macht tatige veranlasse veranlassen"), r"\b(?:uberweisung|ueberweisung|zahlung|dauerauftrag|lastschrift)\b"),
    "zeg": r"\bop\b",
    "ruf": r"\ban\b", "rufe": r"\ban\b", "teile": r"\bmit\b", "schrijf": r"\b(?:over|naar|aan|een)\b", "stort": r"\w", "informe": r"\b(?:le|la|mon|ma|mes|al|a mi|meu|minha)\b",
    "donne": r"\d|argent", "donner": r"\d|argent", "presta": r"\d", "gira": r"\d|\ba\b", "mover": r"\d", "move": r"\d", "dona": r"\d|\ba\b|alla", "doar": r"\w", "compra": r"^compra\b|acciones|azioni",
    "sil": r"^sil\b|\bsil$", "ode": r"\bode$", "app": r"^app (?:mijn|naar|de)\b", "mail": r"^mail (?:mijn|naar|de|het)\b", "bel": r"^bel\b", "wis": r"^wis\b", "deel": r"^deel\b", "open": r"\b(?:rekening|een)\b", "bloque": r"\b(?:carte|compte)\b",
    "partage": r"^partage\b", "quite": r"\b(?:a|o|divida|fatura)\b", "kauf": r"^kauf\b", "kup": r"^kup\b", "change_": "", "delete": r"\w", "regle": r"\b(?:la|le|ma|mon|les|mes)\b", "verse": r"\d", "retire": r"\d|dinero|dinheiro", "llama": r"\ba\b|^llama\b",
    "responde": r"\ba\b", "diga": r"\b(?:ao|a minha|ao meu|para)\b", "transmets": r"\w", "abre": r"\b(?:cuenta|conta)\b", "abra": r"\b(?:cuenta|conta)\b", "cancella": r"\w", "fare": r"\bbonifico|pagamento\b", "avise": r"\b(?:a|o|ao)\b", "anula": r"\w", "notifica": r"\ba\b|il|al",
    "sacar": r"\d", "saque": r"\d|dinheiro", "vire": r"\d|sur|vers|le|la|tout", "gire": r"\d|\ba\b", "salda": r"\b(?:il|la|fattura)\b", "assine": r"\w", "paga": r"\w", "manda": r"\w", "liquida": r"\w", "ingresa": r"\w", "versa": r"\w",
}  # fmt: skip

# Where an interrogative or a word that shows comes before the action, the clause is a question.
_FOREIGN_ASKS: Final = _words(
    """cuanto cuanta cuantos cuantas cuando que cual cuales donde quien quienes como muestra muestrame muestreme mostrar mostrarme ensena ensename ensenar lista listame listar dime decirme resume
    calcula compara busca buscar ver saber explica explicame
    combien quand quel quelle quels quelles qui ou comment pourquoi montre montrer montrez montrezmoi affiche afficher affichez dis dire dites savoir voir liste lister listez calcule compare
    wie wieviel wann was welche welcher welches welchen wo wer wem warum zeig zeige zeigen zeigst liste nenne sag sage sagen wissen sehen suche finde berechne vergleiche erklare
    quanto quanta quantos quantas qual quais onde quem mostre mostra mostrar mostrame mostrarme liste diga-me veja
    quando quale quali dove chi mostrami mostrare elenca elencami elencare dimmi sapere vedere trova calcola confronta quante quanti
    hoeveel wanneer wat welke waar wie hoe waarom toon tonen laat zien geef weten bekijk vergelijk
    сколько когда какие какой покажи показать где кому почему ile kiedy jakie pokaz ne-kadar kac ne-zaman goster hur visa nar berapa kapan tampilkan"""
)
_FOREIGN_PAST_START: Final = re.compile(
    r"^(?:(?:he|has|ha|hemos|han) \w+[aei]do|ai je|a t il|avons nous|j ai|jai|(?:hab|habe|haben|hat) (?:ich|wir|er|sie)|ho \w+|abbiamo \w+|(?:heb|hebben|heeft) (?:ik|we|wij)|eu \w+ei|ik heb|ich habe|yo \w+e|ya |j avais|wurde|wurden|werd|werden|ist |sind |est ce que j ai|zahle ich|bezahle ich|betaal ik)\b"
)
_FOREIGN_NO: Final = _words(
    "no nunca jamas ne n pas jamais nicht kein keine keinen nie niemals nao non mai niet geen nooit не ne nie ikke inte"
)
_FOREIGN_NO_BUT: Final = re.compile(
    r"\b(?:no (?:te )?(?:olvides|olvide)|n ?oubli\w+ pas|vergiss nicht|vergessen sie nicht|nicht (?:zu )?vergessen|nao (?:se )?esqueca|non dimenticar\w*|vergeet niet|не забудь|por que no|pourquoi ne pas|warum nicht|perche non|waarom niet|no solo|nicht nur|pas seulement|nao so)\b"
)
_FOREIGN_PHRASES: Final = re.compile(
    r"\b(?:da(?:r)? de baja|dar de baja|daos? de baja|mach\w* (?:eine )?(?:uberweisung|zahlung)|faire un virement|passe un virement|da disdetta|zeg \w+(?: \w+){0,4} op|maak \w+(?: \w+){0,6} over"
    r"|boek \w+(?: \w+){0,6} over|(?:uberweisung|zahlung) (?:an \w+ )?(?:ausfuhren|veranlassen|tatigen)|haz un(?:a)? (?:bizum|transferencia|pago)|ruf \w+(?: \w+){0,4} an|mets fin|mettre fin|quiero que (?:mandes|envies|pagues)"
    r"|löse .* auf|lose \w+(?: \w+){0,4} auf|schaff \w+(?: \w+){0,4} ab|fes um pix)\b"
)

_CJK: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CJK_ACTIONS: Final = (
    (_M, r"转账|轉賬|轉帳|转帐|汇款|匯款|汇给|汇[\d一二三四五六七八九十百千万]|付款|支付|付一下|付了|付给|付掉|付清|付[\d房电水账租]|缴|繳|还款|还清|打钱|打给|转给|转到|转[\d一二三四五六七八九十百千万]|转入|转出|发钱|发红包|充值|购买|买入|卖出|捐|取款|提现|存入"
         r"|送金|振り?込|払っ|払い|支払|入金|引き出|寄付|購入|買っ|売却|送っ|送り|送れ|送る|お金を移|移して|移動し|송금|이체|결제|지불|납부|보내|출금|구매"),
    (_X, r"发(?:送)?(?:一封|个|一个|一条)?(?:电子)?(?:邮件|短信|信息|消息|微信)|發(?:送)?.{0,3}(?:郵件|簡訊|訊息)|发送|寄信|通知|告诉(?!我)|联系|打电话|回复|转发|分享给|写信|メールし|メールを|送信|電話し|連絡し|知らせて|返信|伝えて|共有し|転送|메일|문자|연락|전화|알려(?!줘|주세요|줄래)"),
    (_D, r"删除|刪除|删掉|清空|清除|抹掉|移除|削除|消して|消去|消し|삭제|지워"),
    (_C, r"关闭|關閉|注销|註銷|销户|开户|冻结|閉じ|閉鎖|解約|口座を開|凍結|해지|닫아|폐쇄"),
    (_S, r"取消|退订|退訂|终止|订阅(?:一个|下)|キャンセル|退会|やめたい|止めて|취소|구독"),
    (_P, r"修改(?:收款|密码|限额|账号)|更改|添加收款|变更|変更し|追加し|변경"),
)  # fmt: skip
_CJK_ASKS: Final = re.compile(
    r"多少|什么时候|何时|哪|几次|几笔|幾次|多久|列出|显示|顯示|查看|看看|看一下|查询|查一下|查|有没有|告诉我|统计|总共|平均|最大|了吗|过吗|(?:转账|付款|支付|汇款)(?:记录|明细)$|为什么|是否|比较|いくら|いつ|何回|何件|どの|どれ|どこ|誰|見せ|表示|教えて|一覧|リスト|合計|平均|比較|なぜ|履歴|ましたか|얼마|언제|보여|몇|목록|어디|누구|합계|내역"
)
_CJK_WANTS: Final = re.compile(
    r"删|刪|请|請|帮我|幫我|把|替我|麻烦|能不能|可以.{0,20}吗|我想|我要|需要|立即|马上|てください|て下さい|してほしい|て欲しい|たい|お願い|くれ|ておいて|해줘|해주세요|하고 싶|해 주|줘|주세요"
)
_CJK_NO: Final = re.compile(r"不要|不用|别|勿|不必|请勿|不想|ないで|しないで|必要はない|なくていい|지 마|하지마|말아")
_CJK_PAST: Final = re.compile(r"(?:ました|した|った)(?:か|。|$)|了$|了。|过$|過$|했어|했습니다|했다")

_NUMBER_WORDS: Final = r"(?:a |one |two |three |five )?(?:ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|grand)"
_LEDGER_NOUNS: Final = r"payments?|transfers?|transactions?|purchases?|charges?|spending|spent|spend|paid|sent|total|totals|average|amounts?|withdrawals?|deposits?|refunds?|expenses?|costs?|fees?|bills?|income|since|from|between|over|under|above|below|about|more|less|the|my|our|any|all|last|past|top|largest|biggest|smallest|first|in|on|at|for|of|by|with|received|got|earned|made|donated|moved|bought|than|than|only|just|some|this|that|these|those|you|they|she|her|his|got|was|were|and|per"
_DEED: Final = r"(?:payments?|transfers?|wires?|refunds?|remittances?|donations?|withdrawals?|deposits?|disbursements?|cancell?ations?|deletions?)"
_IDIOMS: Final = tuple(
    (impact, re.compile(pattern))
    for impact, pattern in (
        (
            _M,
            rf"\b(?:appreciate|want|need|request|requesting|would like|id like|like|expect|demand|require) (?:an? |the |your |immediate |urgent |instant |prompt )*{_DEED} (?:to|of|for|from|into)\b"
            rf"|^(?:an? |the |immediate |urgent )*{_DEED}\b.*\b(?:please|pls|plz|now|asap|immediately|urgently|right away)\b",
        ),
        (
            _M,
            r"\b(?:can|could|would|will) (?:you|u) (?:please |just |kindly )?(?:sort|handle|fix|settle|square|cover|do) (?:it|that|this|him|her|them)\b",
        ),
        (_M, r"^get (?!me\b|us\b|the\b|a\b)(?!.*\b(?:total|list|sum|payments|spending|transactions|history)\b).*\d"),
        (
            # Whatever the verb: an amount that is to go somewhere.
            _M,
            rf"^(?!(?:{_LEDGER_NOUNS})\b)[a-z]{{3,}} (?:(?:another|about|exactly|some|the|his|her|him|them|me|us|out|over|up|around) )?(?:[$€£¥]\s?\d[\d,.]*|\d[\d,.]*|{_NUMBER_WORDS})(?: ?(?:dollars?|bucks?|euros?|quid|pounds?|usd|eur|gbp|[$€£]))? (?:\w+ ){{0,2}}?(?:to|for|into|in|from|out of|over to|towards|onto|off) (?!(?:january|february|march|april|may|june|july|august|september|october|november|december|20\d\d|last|this)\b)",
        ),
        (_M, r"\b(?:i|we) owe\b.*\b(?:sort|handle|fix|settle|take care|deal|make it|sort it)\b|\b(?:sort|fix|square|see) (?:him|her|them|\w+) (?:out|up)\b|\bsquare (?:things )?up\b|\bsettle up\b"),
        (_M, rf"\b(?:take care of|handle|deal with|sort out|see to|get|knock out|look after)\b.*{_BILL_WORDS}(?!.*\bcategor)"),
        (_M, r"^(?:please )?(?:handle|sort|do|fix|settle) (?:it|that|this)(?: out| now| please| for me| today| asap)*$|^(?:just )?(?:make it happen|do it)(?: now)?$|^(?:do|make) (?:a|the|that) (?:transfer|payment|wire)"),
        (_M, r"\b(?:gets?|get|receives?|should have|should get|needs?|wants?|is to have|deserves|expects|is waiting for) (?:\w+ ){0,3}?(?:[$€£]\s?\d|\d+ ?(?:bucks|dollars|euros?|quid|usd|eur|pounds))|\bsee (?:to it )?that\b.*\b(?:gets?|is|are|has|receives?)\b|\bwaiting for (?:his|her|their|the) (?:money|\w+ (?:dollars|bucks|euros))"),
        (_M, r"^(?:[$€£]\s?\d[\d,.]*|\d[\d,.]* ?(?:[$€£]|bucks|dollars|euros?|quid|usd|eur|gbp|pounds)?) (?:to|for|over to|a|an|para|naar|à) (?!(?:\d|what|which|all|each)\b)\w+"),
        (_M, r"\bget (?:my|our|the) money back\b|\b(?:want|need|demand) (?:my|our) money back\b|\bgot (?:to|get)\b.*\bmoney to\b|\bhave (?:[$€£]?\d+\S*) (?:end|land|show) up\b|\bmoney (?:over|across) to\b"),
        (_S, r"\b(?:get rid of|say goodbye to|be done with|want out of|opt(?: me)? out|no longer (?:need|want)|dont (?:want|need)\b.*\b(?:anymore|any more|any longer)|has (?:got )?to go|must go|make .* go away|lose the|pull the plug|cut (?:off )?my|take me off|sign me up|part ways with|get me out of|bin (?:my|the)|call off|back out of|put an end to)\b"),
        (_C, r"\b(?:want|need|would like|like|wanna|please|just|can you|could you) (?:\w+ ){0,3}(?:close|shut|lock|freeze|open)\b.*\b(?:account|card|it)\b|\bclose (?:down|out)\b|\bclose (?:my|the|our|that|this|all)\b|\bshut down\b"),
        (_P, r"\bput .*\b(?:down|on|in) as\b|\b(?:new|another) (?:payee|beneficiary|recipient)\b(?=.*\b(?:account|iban|please|called|named)\b)|\bset ?up (?:an? )?(?:autopay|auto-pay|direct debit|standing order|recurring|automatic)|\bturn (?:on|off) auto|\bswitch (?:on|off) auto|\b(?:give|grant) \w+ access\b"),
        (_X, r"\b(?:drop|shoot|fire|send|write|get) (?:\w+ ){0,3}(?:a line|an? e-?mail|an? text|an? message|a note)\b|\b(?:heads.?up|give (?!me\b)(?:\w+ ){1,3}a (?:call|ring|shout|heads))\b|\bget in touch with\b|\blet (?!me\b|us\b)(?:\w+ ){1,4}know\b|\bhit up\b|\bmake a (?:phone )?call\b"),
        (_D, r"\b(?:get rid of|wipe out|blow away|clean out|burn)\b.*\b(?:data|history|records?|transactions?|ledger|everything)\b|\bdrop table\b|\brm -rf\b|\bmake (?:the|my) .* disappear\b|\bdelete from\b"),
        (_U, r"\b(?:do|execute|run|perform) (?:the|that|this|all|what) (?:\w+ ){0,3}(?:actions?|commands?|instructions?|steps)\b|\bi (?:hereby )?(?:approve|authori[sz]e|confirm|consent)\b"),
    )
)  # fmt: skip

# --------------------------------------------------------------------------------------------------------------- frames

_SHOW: Final = _words(
    """show list find display sum total count compare calculate compute summarize summarise break breakdown search look lookup pull check review analyze analyse explain describe identify see view
    know understand learn categorize categorise recategorize recategorise classify mark flag label tag note draft dismiss plot graph chart estimate forecast predict rank sort group filter highlight track whats hows whos
    whens wheres inform-me figure determine add-up tally average outline detail clarify remember recall wonder wondering curious afford help-me-understand name rename reclassify tabulate visualize visualise itemize itemise
    say read print rate assume recap"""
)
_ASK: Final = _words(
    """what which who whom whose where why how when did do does have has had was were is are am should would will whats whos
    hows wheres whens whys may-i didnt dont-i doesnt isnt arent wasnt werent havent hasnt wont-i any anything anyone"""
)
_FILLER: Final = r"(?:hi|hey|hello|yo|ok|okay|so|well|and|but|also|then|please|pls|plz|kindly|just|mosaic|assistant|thanks|thank you|um|uh|now|first|next|finally|btw|after that|after this|afterwards|permanently|completely|fully|urgently|promptly|directly|automatically|silently|secretly|discreetly|securely|manually|totally|definitely|absolutely|right|great|cool|alright|maybe|perhaps|actually|quickly|simply|immediately|instead|only|dear|ahead|additionally|afterwards|afterward|again|finally|lastly|basically|honestly|sorry|quick question|question|bitte|por favor|per favore|alstublieft|s il vous plait|merci de|go on and)"
_LEAD: Final = (
    r"(?:(?:can|could|would|will|may|might|cant|couldnt|wont|wouldnt) (?:you|u|ya|i|we)|you (?:can|could|should|must|may|need to|have to|ought to|will)|i (?:really |just |also |now )?(?:want|need|would like|would love|d like|wish|have|like|got)(?: for)?(?: you| u)? to"
    r"|(?:id|i would) (?:really )?(?:like|love)(?: you| u)? to|(?:i )?wanna|(?:i )?gotta|lets|let us|let me|help me(?: out)?(?: to)?|im (?:trying|asking|looking|going|instructing|telling|ordering|authori[sz]ing|hoping|ready|curious)(?: you)?(?: to)?|try to|do me an? favou?r and|be a dear and"
    r"|be so kind(?: as)? to|would you be so kind(?: as)? to|go ahead(?: and)?|feel free to|make sure (?:to|you|that you)|be sure to|remember to|(?:dont|do not|never) (?:forget|hesitate|fail|wait|neglect|delay) to|its time to|time to|you are to|your task is to|please do|i expect you to|why dont (?:you|we)|why not"
    r"|is it possible (?:for you )?to|would it be possible (?:for you )?to|is there (?:any|a) (?:way|chance) (?:you (?:can|could|would)|to|for you to)|any chance (?:you (?:can|could|would)|to)|do you think you (?:can|could)|i was wondering if you (?:can|could)|i wonder if you (?:can|could|would)"
    r"|might i trouble you to|may i ask you to|i(?:d| would) (?:appreciate|be grateful|be glad|be happy|prefer) (?:it )?if you(?: could| would)?|i wish you (?:would|could)|it would be (?:great|nice|good|lovely|helpful) if you(?: could| would)?|never ?mind|are you able to|if you (?:can|could|would)(?: please)?|mind)\b"
)
_STRIP: Final = re.compile(rf"^(?:(?:{_FILLER})\b[\s,]*|{_LEAD}\s*)")
_ONLY_FILLER: Final = re.compile(rf"^(?:{_FILLER})\b[\s,]*")
_REQUEST_IN_QUESTION: Final = re.compile(
    r"\b(?:can|could|will|would|wont|wouldnt|cant|couldnt) (?:you|u|ya)\b(?P<a>.*)|\byou (?:to|could|should|must|can|would)\b(?P<b>.*)|\b(?:please|pls|plz|kindly|go ahead and)\b(?P<c>.*)|\bplease (?P<d>.*)"
    r"|\b(?:shouldnt|arent|werent|should) you\b(?: be| supposed to| going to)?(?P<h>.*)|\b(?:about|high|it) time (?:you|we|someone)\b(?P<i>.*)"
    r"|\bpossible to\b(?P<e>.*)|\bany (?:way|chance)\b(?P<f>.*)|\b(?:why dont|why not)\b(?P<g>.*)"
)
_OBJECT: Final = re.compile(
    r"^(?:it|them|that|this|him|her|me|my|the|a|an|our|all|everything|everyone|[$€£¥]|\d|half|some|any\b(?!thing)|\S+@|to )"
)
_NEGATION: Final = re.compile(
    r"\b(?:dont|do not|never|not|no (?:need|reason|intention) to|without|cannot|cant|wont|shouldnt|mustnt|didnt|doesnt|refrain from|avoid|instead of|rather than|wouldnt|nor|stop short of|neither|nobody|isnt|havent|hasnt|shall not|under no circumstances|by no means|at no point|in no case|forbid\w*|prohibit\w*|refuse to)\b"
)
_NOT_NEGATION: Final = re.compile(
    r"^(?:isnt|arent|shouldnt|werent) (?:it|you|we)\b|\b(?:dont|do not|never|not|please dont) (?:forget|hesitate|fail|wait|just|only|worry|mind|delay|be shy|be afraid|neglect|miss|skip|ask|simply|merely|bother|let|dawdle|stop|argue|think|tell me|show me|care)\b"
    r"|\b(?:why|can|could|would|will|wont|wouldnt|couldnt|cant) ?(?:dont|not|you not|nt)\b|\b(?:why dont|cant|couldnt|wont|wouldnt) (?:you|u|we)\b|\bnot only\b|\bif not\b|\bor not\b|\bwhy not\b|\bnot (?:yet )?(?:been )?paid\b|\bno longer\b|\bhas not been\b"
)
_NOUN_BEFORE: Final = _words(
    """my our the a an last first latest next largest biggest smallest highest lowest total each every any all of no this that these those average recent previous monthly weekly yearly annual wire bank zelle venmo paypal apple google samsung your
    by via per sick holiday overtime take-home gross net base incoming outgoing internal external his her their its which what whose one another failed pending late big large some same other on in from between with and for than
    vacation back direct ach best cash"""
)
_NOUN_AFTER: Final = _words(
    """history fee fees total totals amount amounts list summary transactions transaction records activity costs cost charges transfer transfers payments payment stub stubs check checks period raise day slip scale from statement messages message
    plan plans service services order received purchases spending expenses reviews titles in this last since during between over above is was were are has have went came arrived did"""
)
_NOUN_PHRASE: Final = re.compile(
    r"^[a-z]+ (?:costs?|charges|fees|spending|expenses|totals?|history|payments)\b|^totals?\b"
)
_PARTICLES: Final = _words("in over out up off")
_NOMINAL: Final = _words(
    "autopay auto-pay dispatch transfer wire pay refund email text zelle venmo cancel forward send txt dm xfer"
)
_SUBJECTS: Final = _words(
    "i we they he she who people usually always often typically normally regularly currently generally anyone someone employer"
)
_HEAD_BEFORE: Final = _words(
    "to please pls plz kindly then and just also now you u must should will ll gonna wanna or can could would immediately quickly instead lets not help only ahead go even better gotta bitte need"
)
_SURE_FRAMES: Final = ("an instruction", "a request", "a wanted result")
_INSTRUCTION, _REQUEST, _RESULT, _IDIOM = "an instruction", "a request", "a wanted result", "an indirect request"
_FOREIGN_FRAME, _UNDOUBTED = "an instruction in another language", "a request inside a question"

_CUT: Final = re.compile(
    r"\n+|[;!?。！？；…→]+|(?<!\bmr)(?<!\bmrs)(?<!\bdr)\.(?=\s|$)|:(?=\s|$)|[()\[\]{}<>\"“”«»]|\s[-–—]+\s|—"
)
_SOFT_CUT: Final = re.compile(
    r",(?!\d)|[，、]|\b(?:and then|and also|but|then|and|also|so that|so|plus|whereas|while|before you|after you|otherwise|et puis|et|und|dann|y luego|y|e poi|e|en|luego|puis|ensuite|aber|pero|mais|ma)\b|然后|並且|并且|并|再|接着|そして|その後|それから"
)
_WORD: Final = re.compile(r"[^\W_]+(?:[-'@.][^\W_]+)*|[$€£¥]")


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str
    words: tuple[str, ...]
    lead: str  # what separated it from the clause before: "", ",", "and", "or" ...


def _asked_action(reading: str) -> tuple[ImpactClass, str] | None:
    for sentence in _CUT.split(reading):
        sentence = sentence.strip(" ,.")
        if not sentence:
            continue
        found = _asked_in_sentence(sentence)
        if found is not None:
            return found
    # An indirect request may need its neighbour: "My rent is due. Handle it."
    return None


def _clauses(sentence: str) -> Iterable[_Clause]:
    start, lead = 0, ""
    for match in [*_SOFT_CUT.finditer(sentence), None]:
        end = match.start() if match else len(sentence)
        text = sentence[start:end].strip(" ,.-")
        if text:
            yield _Clause(text, tuple(_WORD.findall(text)), lead)
            lead = ""
        if match:
            start = match.end()
            lead = lead if match.group() == "," and lead else match.group().strip()


def _asked_in_sentence(sentence: str) -> tuple[ImpactClass, str] | None:
    context = ""  # the frame that the clauses before have set: "question", "show", "negated"
    for clause in _clauses(sentence):
        if not clause.words:
            continue
        found, context = _judge(clause, context)
        if found is not None:
            return found
    if context in ("", "other"):
        # Idioms may span a comma or an "and".
        return _idiom(sentence, ()) if not _NEGATION.search(sentence) or _NOT_NEGATION.search(sentence) else None
    return None


def _judge(clause: _Clause, context: str) -> tuple[tuple[ImpactClass, str] | None, str]:
    """What the clause asks for, and the frame that it sets for the clauses after it."""
    text = clause.text
    if _CJK.search(text):
        return _cjk(text), "other"
    rest, politely = _strip_leads(text)
    words = tuple(_WORD.findall(rest))
    if not words:
        return None, context
    negated = _is_negated(text)
    frame = _frame(rest, words, text)
    # A list goes on with the frame of its first verb: "how much did I send, pay and withdraw".
    if frame == "other" and context in ("question", "negated") and clause.lead and not politely:
        tail = rest.partition(" ")[2]
        listed = words[0] in _STRONG or words[0] in _HEAD
        sequel = clause.lead in ("then", "and then", "and also", "also", "but", "so")
        if listed and not sequel:
            if context == "negated" and re.search(r"\b(?:or|anything|any|nothing|nor)\b", rest):
                return None, context
            if (context == "question" or len(words) == 1) and not _OBJECT.match(tail):
                return None, context
        if (
            not listed
            and context == "question"
            and clause.lead in (",", "and")
            and not sequel
            and words[0] not in _FOREIGN
        ):
            found = _verb(rest, words, False)
            if found is None:
                return None, context
    if frame in ("question", "show"):
        found = _in_question(rest, text, frame)
        return (found, frame) if found is None or not negated else (None, frame)
    if negated:
        return None, "negated"
    found = (
        _verb(rest, words, politely)
        or _result(text)
        or _idiom(rest, words)
        or (_idiom(text, words) if politely else None)
        or _foreign(text, clause.words)
        or _unlisted(text, words)
        or _imperative(rest)
    )
    return found, "other"


_ASKED_OF_YOU: Final = re.compile(
    r"^(?:(?:please|hey|hi|ok|so|also|then|and|but) )*(?:(?:can|could|would|will|cant|couldnt|wont) (?:you|u|ya)\b|i (?:want|need|command|order|instruct|ask|authori[sz]e|require|expect|allow|permit) (?:you|u) to\b|you (?:must|have to|need to|are to|shall)\b)|\b(?:i|we) (?:command|order|instruct|authori[sz]e|direct) you to\b"
)
_HARMLESS_VERBS: Final = _words(
    """help be have hear speak talk work repeat continue include exclude keep wait hold use remember advise answer provide generate present output walk elaborate verify guess think translate format refresh
    retrieve fetch query extract scan inspect examine investigate distinguish separate spot locate get give tell remind let spell round add give take look go like love mind confirm double-check
    confirm run try stop start do make sort figure correct improve simplify shorten rephrase write create prepare draft build see please me us it assist support handle access connect deal still even also really ever"""
) - _words("handle")


def _unlisted(text: str, words: tuple[str, ...]) -> tuple[ImpactClass, str] | None:
    """Something that the assistant is asked to do and that is on no list: a person decides."""
    if _ASKED_OF_YOU.search(text) is None or len(words) < 2:
        return None
    first = words[0]
    match = re.search(r"\byou to (\w+)", text)
    if match:
        first = match[1]
    if first in _HARMLESS_VERBS or first in _SHOW or first in _ASK or not first.isascii() or not first.isalpha():
        return None
    return ImpactClass.UNLISTED_ACTION, _REQUEST


# An unknown verb with an object, at the head of a clause: "leave a review", "loop in my accountant".
_OBJECT_FOLLOWS: Final = re.compile(
    r"^(?P<verb>[a-z][a-z-]{2,}) (?:(?:in|out|off|up|down|over|back|away|on) )?(?:my|our|the|a|an|his|her|their|it|them|him|every|everything|everyone|all|another)\b(?! (?:last|past|previous|first|time|times|year|years|month|months|week|weeks|day|days|quarter|other|same|total|most)\b)"
)
# Findings of the sweep are the household's own to set aside; whatever else the clause asks is judged all the same.
_OF_A_FINDING: Final = re.compile(
    r"^ignore (?:the|that|this|all|my|our) (?:\w+ ){0,3}?(?:duplicates?|findings?|alerts?|warnings?|anomal(?:y|ies)|price (?:rise|increase|hike))\b"
)
_NO_VERB: Final = _words(
    """of on in at for from by with to over under above below about during since until till than versus vs per via without within between after before near and or but so if when while because though although
    not no yes my our your their his her its this that these those there here i we you he she they it who what which all any some each every both most many much more less few than as like
    thanks thank sorry sure okay good great bye hello congratulations wow please is are was were am be been being has have had do does did will would can could should may might must
    leave-out see-also spending spent payments payment transfers transfer purchases transactions charges total totals average sum amount cost costs fees income largest biggest top paid sent received earned bought
    ordered visited went gave got made had saw said told asked thought owed used kept put cancelled canceled closed deleted stopped moved transferred called emailed texted charged refunded billed
    include exclude excluding including except assuming given considering regarding concerning based compared according beside besides
    categorize categorise recategorize recategorise mark tag label flag note draft dismiss split group sort filter rename assign treat consider count"""
)


def _imperative(rest: str) -> tuple[ImpactClass, str] | None:
    match = _OBJECT_FOLLOWS.match(rest)
    if match is None or _OF_A_FINDING.match(rest):
        return None
    verb = match["verb"]
    if verb in _NO_VERB or verb in _SHOW or verb in _ASK or verb in _HARMLESS_VERBS or verb.endswith(("ing", "ed")):
        return None
    if verb in _STRONG or verb in _HEAD:
        # A known verb was judged by its own conditions.
        return None
    return ImpactClass.UNLISTED_ACTION, _INSTRUCTION


def _strip_leads(text: str) -> tuple[str, bool]:
    """The clause from its main predicate on, and whether a polite or modal lead-in came before it."""
    politely = False
    for _ in range(8):
        match = _STRIP.match(text)
        if match is None or match.end() == 0:
            break
        if match.group().strip() in ("have", "has") or (match.end() >= len(text)):
            break
        politely = politely or _ONLY_FILLER.match(text) is None or text.startswith(("please", "pls", "plz", "kindly"))
        text = text[match.end() :].lstrip(" ,")
    return text, politely


def _frame(rest: str, words: tuple[str, ...], text: str) -> str:
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if first in ("tell", "give", "get", "send", "remind", "inform", "let", "ask") and first not in ("send",):
        if first == "tell" and second in _words("when how if whether what which who where why"):
            return "show"
        if second in _GIVE_ME and not (
            re.search(r"[$€£]\s?\d|\b(?:money|bucks|cash)\b", rest)
            and first in ("give", "get")
            and not re.search(r"\b(?:list|total|breakdown|summary|how|what)\b", rest)
        ):
            if first in ("remind", "get") and not re.search(
                r"\b(?:how|what|when|which|who|list|total|breakdown|summary|where|data|numbers|payments|transfers)\b",
                rest,
            ):
                return "other"
            return "show"
        if (
            first == "give"
            and second in ("a", "an", "the")
            and re.search(r"\b(?:list|breakdown|summary|overview|total|report)\b", rest)
        ):
            return "show"
        return "other"
    if first in ("telling", "giving", "showing", "listing", "explaining", "checking", "finding"):
        return "show" if first not in ("telling", "giving") or second in _GIVE_ME else "other"
    if first in _SHOW:
        if first == "pull" and re.match(r"pull (?:out )?(?:[$€£]\s?)?\d", rest):
            return "other"
        if first in (
            "look",
            "check",
            "break",
            "pull",
            "add",
            "track",
            "sort",
            "say",
            "name",
            "note",
            "mark",
        ) and re.search(rf"\b{first} (?:after|out {_BILL_WORDS}|out (?:my|the)|goodbye)", rest):
            return "other"
        return "show"
    if first in _ASK:
        if first == "when" and second not in _words(
            "did do does was is will am are have has were should can could s would the-last"
        ):
            return "other"
        if (
            first == "what"
            and second in ("about", "if")
            and re.search(
                r"\b(?:you|we|sending|paying|transferring|cancelling|canceling|moving|deleting|closing)\b", rest
            )
            and not re.search(r"\b(?:i|my|happens|would|the) \b", rest)
        ):
            return "other"
        if first == "how" and second == "about":
            return "other"
        if first == "do" and (second in ("it", "a", "the", "this", "that", "an") or len(words) == 1):
            return "other"
        if first in ("have", "had") and second not in (
            "i",
            "we",
            "you",
            "they",
            "my",
            "any",
            "there",
            "he",
            "she",
            "ever",
            "our",
        ):
            return "other"
        if (
            first == "have"
            and second in ("my", "our", "the")
            and re.search(r"\b(?:paid|sent|moved|transferred|cancelled|canceled|deleted|closed)\b", rest)
            and "?" not in text
            and not re.search(r"\b(?:been|ever|already|yet)\b", rest)
        ):
            return "other"
        if first == "do" and second == "you" and re.search(r"\bmind\b", rest):
            return "other"
        if first in ("any", "anything", "anyone") and second in ("chance", "way"):
            return "other"
        if first in ("would", "is") and re.search(r"\b(?:possible|any chance|any way|a way) (?:to|you|for)\b", rest):
            return "other"
        if first == "is" and re.match(r"is there (?:any|a) (?:chance|way)\b", rest):
            return "other"
        return "question"
    if _FOREIGN_PAST_START.match(rest):
        return "question"
    if first in _FOREIGN_ASKS and first not in (
        "ver",
        "come",
        "was",
        "visa",
        "app",
        "en",
        "ou",
        "hur",
        "nar",
        "wis",
        "dis",
    ):
        return "question"
    if re.match(
        r"(?:i|we) (?:wonder|was wondering|am curious|asked|ask) (?!if you|whether you)|im (?:curious|wondering)\b",
        rest,
    ) or re.match(r"curious\b", rest):
        return "question"
    return "other"


def _is_negated(text: str) -> bool:
    stripped = _NOT_NEGATION.sub(" ", text)
    return _NEGATION.search(stripped) is not None and _negation_governs(stripped)


def _negation_governs(text: str) -> bool:
    """Whether the negation stands before what would be the action."""
    negation = _NEGATION.search(text)
    if negation is None:
        return False
    before = text[: negation.start()]
    words = tuple(_WORD.findall(before))
    rest, politely = _strip_leads(before)
    return not words or _verb(rest, tuple(_WORD.findall(rest)), politely) is None


def _in_question(rest: str, text: str, frame: str) -> tuple[ImpactClass, str] | None:
    """An action that is asked of the assistant inside a question after all."""
    for match in _REQUEST_IN_QUESTION.finditer(rest):
        tail = next((group for group in match.groups() if group is not None), "").strip()
        stripped, _ = _strip_leads(re.sub(r"^(?:please|pls|kindly|now|just|quickly|soon) ", "", tail))
        words = tuple(_WORD.findall(stripped))
        if not words or _frame(stripped, words, stripped) != "other":
            continue
        found = _verb(stripped, words, True)
        if found is not None and (words[0] in _STRONG or words[0] in _HEAD or _misspelt(words[0])):
            return found[0], _UNDOUBTED
        if words[0] in _PARTICIPLES and re.search(r"\b(?:about|high|it) time\b", rest):
            return _PARTICIPLES[words[0]], _UNDOUBTED
        gerund = next((_GERUNDS[w] for w in words[:2] if w in _GERUNDS), None)
        if gerund is not None:
            return gerund, _UNDOUBTED
    # "how much did I spend send 50 to bob": a verb with an amount that nothing in the question licenses.
    for match in re.finditer(
        r"\b(send|wire|transfer|pay|delete|cancel) (?:[$€£]\s?)?(?:\d|all|everything|it|them)", rest
    ):
        before = rest[: match.start()].split()
        licensed = any(
            w in before
            for w in (
                "did",
                "do",
                "does",
                "to",
                "i",
                "we",
                "will",
                "would",
                "should",
                "can",
                "who",
                "which",
                "if",
                "didnt",
                "dont",
                "they",
                "he",
                "she",
                "could",
                "doesnt",
            )
        )
        if not licensed and before and before[-1] not in _NOUN_BEFORE:
            return _STRONG[match.group(1)], _UNDOUBTED
    return None


def _verb(text: str, words: tuple[str, ...], politely: bool) -> tuple[ImpactClass, str] | None:
    """An action verb that stands as a verb in a clause that is no question."""
    frame = _REQUEST if politely else _INSTRUCTION
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        after = words[index + 1] if index + 1 < len(words) else ""
        tail = " ".join(words[index + 1 :])
        strong = _STRONG.get(word) or _misspelt(word)
        head_place = index == 0 or before in _HEAD_BEFORE
        if strong is not None:
            if (
                before in _SUBJECTS
                or (
                    index > 1
                    and words[index - 2] in ("i", "we")
                    and before in ("do", "did", "still", "can", "cant", "to", "also", "usually")
                )
            ) and not (before in ("i", "we") and index > 1 and words[index - 2] in ("that", "wish")):
                continue
            phrasal = before in ("on", "in", "with", "for") and after in ("it", "him", "her", "them", "me")
            if word in _NOMINAL and index and before in _NOUN_BEFORE and not phrasal:
                continue
            if (
                word in _NOMINAL
                and index
                and after in ("history", "fee", "fees", "totals", "stub", "slip", "transfers", "transfer", "payments")
            ):
                continue
            if (
                word in _NOMINAL
                and index == 0
                and not politely
                and _NOUN_PHRASE.search(tail)
                and not _OBJECT.match(tail)
            ):
                continue
            if word in _NOMINAL and index == 0 and not politely and (after in _NOUN_AFTER or not after):
                if word in ("send", "pay", "wire", "cancel", "transfer") and not after:
                    return strong, frame
                if not re.match(r"(?:this|over|the) (?!(?:year|month|week|quarter)\b)", tail):
                    continue
            if word == "buy" and before == "best":
                continue
            return _refine(strong, word, text), frame
        impact = _HEAD.get(word)
        if (
            impact is not None
            and head_place
            and not (before == "and" and not index)
            and not (word == "buy" and before == "best")
        ):
            if (
                index
                and before in ("to", "and", "or")
                and word
                in (
                    "text",
                    "email",
                    "call",
                    "report",
                    "order",
                    "charge",
                    "deposit",
                    "loan",
                    "trade",
                    "tip",
                    "phone",
                    "ring",
                    "cash",
                    "bank",
                    "credit",
                    "debit",
                    "gift",
                    "share",
                    "mail",
                    "post",
                    "message",
                    "drop",
                    "return",
                    "purchase",
                    "bet",
                    "top",
                    "cover",
                    "balance",
                    "check",
                    "fund",
                    "end",
                    "close",
                    "book",
                    "load",
                    "place",
                    "claim",
                    "request",
                    "process",
                    "change",
                    "update",
                    "link",
                )
                and (not after or after in _NOUN_AFTER or after in ("card", "cards", "on", "of"))
            ):
                continue
            if (
                index == 0
                and not politely
                and after in _NOUN_AFTER - _PARTICLES
                and after not in ("this", "order")
                and word not in ("buy", "sell", "open", "close", "pause", "kill", "quit")
            ):
                continue
            if index == 0 and (
                len(words) == 1
                and word
                in (
                    "order",
                    "charge",
                    "deposit",
                    "loan",
                    "tip",
                    "gift",
                    "call",
                    "phone",
                    "text",
                    "message",
                    "post",
                    "share",
                    "mail",
                    "report",
                    "cash",
                    "bank",
                    "credit",
                    "debit",
                    "purchase",
                    "advance",
                    "trade",
                    "return",
                    "fund",
                    "cover",
                    "end",
                    "top",
                    "open",
                    "split",
                    "start",
                    "do",
                    "make",
                    "clear",
                )
            ):
                continue
            if before in ("i", "we"):
                continue
            if (
                word in ("tell", "ask", "inform", "remind", "warn", "contact", "message", "text", "call")
                and after in _GIVE_ME
            ):
                if word in ("text", "message", "call") or (word == "remind" and re.search(r"\bto\b", tail)):
                    return ImpactClass.EXTERNAL_MESSAGE, frame
                continue
            if word == "tell" and not after:
                continue
            needs = _NEEDS.get(word)
            if needs and not re.search(needs, tail):
                continue
            if _HARMLESS.search(f"{word} {tail}"):
                continue
            return _refine(impact, word, text), frame
        if (
            word in _GERUNDS
            and index
            and re.search(_GERUND_ASKERS + r"\s*(?:you |your |us |now |by )?$", " ".join(words[:index]) + " ")
        ):
            return _GERUNDS[word], frame
        if word in _GERUNDS and index == 0 and politely and not (word in ("telling", "sharing") and after in _GIVE_ME):
            return _GERUNDS[word], frame
    return None


_HARMLESS: Final = re.compile(
    r"\b(?:categor(?:y|ies|ise|ize)|labels?|tags?|recurring|budgets? note|as (?:rent|food|groceries|income|travel|personal|business|transfer)|to (?:groceries|food|entertainment|travel)|dashboard|chart|sense|"
    r"up all|it look|the math|question|in a table|a note to)\b(?!.*\bautopay\b)"
)


def _refine(impact: ImpactClass, word: str, text: str) -> ImpactClass:
    """ "send" moves money or carries a message, "cancel" may be of a transfer: by what is named beside it."""
    if (
        impact is _M
        and word in ("send", "snd", "sned", "forward", "drop", "shoot", "give", "fire")
        and re.search(
            r"\b(?:e-?mails?|message|text|note|letter|statement|report|summary|list|reminder|invoice|ledger|data|sms|reply|link|details|password|history)\b|@",
            text,
        )
    ):
        return _X
    if word == "stop" and re.search(r"\b(?:payment|transfer|wire)\b", text):
        return _M
    return impact


def _result(text: str) -> tuple[ImpactClass, str] | None:
    """A wanted state: "the rent needs to be paid", "have the plumber paid", "I'd be grateful if you settled"."""
    for match in re.finditer(r"[a-z]+", text):
        impact = _PARTICIPLES.get(match.group())
        if impact is None:
            continue
        before = text[: match.start()].rstrip()
        told = re.search(
            r"\b(?:has|have|had|was|were|is|are|i|we|been|already|just|got|he|she|they|ve|not|never)$",
            before,
        )
        wished = re.search(
            r"\b(?:if|that|ensure|sure|until|see|once) (?:\w+ ){1,4}(?:is|are|was|were|got)$|\b(?:time|if) (?:we|i)$",
            before,
        ) or re.search(
            r"\b(?:should|must|needs? to|to|please|would like|want|could|can|shall|ought to|supposed to|better) (?:\w+ ){0,4}(?:have|get|be|got)$",
            before,
        )
        if told and not wished:
            continue
        if re.search(
            r"\b(?:needs?|need to|wants?|wanted|must|should|ought to|gotta|got to|got|to be|please|to get|get|gets|getting|be|make sure|ensure|see (?:to it )?that|see|id like|would like|like|grateful if (?:you|someone)|appreciate it if (?:you|someone)"
            r"|nice if|great if|good if|better|happy if (?:you|someone)|glad if (?:you|someone)|love|expect|could|can|time you|time we|want|require|demand|shall|has to|have to|may|wish|hope|let|would be|consider it)\b(?: (?:\S+)){0,7}$",
            before,
        ) or re.match(r"(?:please )?(?:have|get) (?:\S+ ){1,5}?$", before + " "):
            if re.search(
                r"\b(?:i|we) (?:\w+ )?(?:should|could|must|can|may) have$|\b(?:get|gets|got|getting) $", before
            ) and not re.search(r"\bwant|need|let|please", before):
                continue
            if re.search(r"\b(?:i|we) get$|\b(?:i|we) (?:usually |always )?(?:get|got)$|^(?:i|we) like\b", before):
                continue
            return impact, _RESULT
    return None


def _idiom(text: str, words: tuple[str, ...]) -> tuple[ImpactClass, str] | None:
    for impact, pattern in _IDIOMS:
        if pattern.search(text):
            return impact, _IDIOM
    return None


def _foreign(text: str, words: tuple[str, ...]) -> tuple[ImpactClass, str] | None:
    if not words or (not _FOREIGN_NO.isdisjoint(words) and not _FOREIGN_NO_BUT.search(text)):
        return None
    if _FOREIGN_PHRASES.search(text):
        return _S if re.search(r"baja|disdetta|\bop\b|mets fin", text) else _M, _FOREIGN_FRAME
    for index, word in enumerate(words):
        if (
            word in _FOREIGN_ASKS
            and not (index == 0 and word in ("como", "ver", "que", "e", "visa", "was", "liste", "laat"))
            and not _SUBORDINATE.search(" ".join(words[: index + 1]))
        ):
            return None
        impact = _FOREIGN.get(word)
        if impact is None:
            continue
        needs = _FOREIGN_NEEDS.get(word)
        tail = " ".join(words[index + 1 :])
        if needs and not re.search(needs, tail if needs.startswith((r"\d", r"\w", r"\b")) else text):
            continue
        if word in _ENGLISH_TOO and not _HAS_FOREIGN.search(text):
            continue
        return impact, _FOREIGN_FRAME
    return None


# "quiero que pagues", "ich will, dass", "me gustaria que": the conjunction is no question word there.
_SUBORDINATE: Final = re.compile(
    r"\b(?:quiero|quisiera|necesito|gustaria|pido|deseo|espero|tienes|hay|tengo|tienen|tenes|j aimerais|jaimerais|voudrais|veux|faut|faudrait|quero|preciso|gostaria|peco|tens|tenho|tem|favor de|a|para|antes de|con) que$"
)
_ENGLISH_TOO: Final = _words(
    "mail app open delete change gift compare liste donate informe transfere partage sale come gira mover bel move prime note realize regle doe dona retire quite vends versa sil ode"
)
_HAS_FOREIGN: Final = re.compile(
    r"\b(?:mijn|het|een|naar|de|mon|ma|mes|le|la|les|une|un|mi|mis|el|los|las|meu|minha|o|os|il|lo|gli|der|die|das|mein|meine|den|dem|al|del|du|des|aan|euro|por|para|per|pour)\b"
)


def _misspelt(word: str) -> ImpactClass | None:
    """The impact of the action verb that the word is one slip away from (two for long verbs), if any."""
    if len(word) < 5 or word in _NOT_MISSPELT or not word.isascii() or not word.isalpha():
        return None
    if word in _PARTICIPLES or word in _GERUNDS or word.endswith(("ing", "tion", "ions", "al", "als", "ation")):
        return None
    for verb in _MISSPELT:
        if verb[0] != word[0] or abs(len(verb) - len(word)) > 2:
            continue
        if (
            word == verb + "s"
            or word.removesuffix("red") == verb
            or word.removesuffix("ed") == verb
            or word.removesuffix("d") == verb
        ):
            return None
        if _distance(word, verb) <= (2 if len(verb) >= 8 and word[:2] == verb[:2] else 1):
            return _STRONG.get(verb) or _HEAD.get(verb)
    return None


def _distance(a: str, b: str) -> int:
    """Edits between two words, a swap of neighbours counting one (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def _cjk(text: str) -> tuple[ImpactClass, str] | None:
    compact = re.sub(r"\s+", "", text)
    asks = _CJK_ASKS.search(compact)
    wants = _CJK_WANTS.search(compact)
    if _CJK_NO.search(compact):
        return None
    for impact, pattern in _CJK_ACTIONS:
        action = re.search(pattern, compact)
        if action is None:
            continue
        if asks and not (
            wants
            and re.search(r"把|帮我(?!查|看|列|统计)|替我", compact)
            and not re.search(r"多少|什么时候|列出|显示|查", compact)
        ):
            continue
        if not wants and _CJK_PAST.search(compact):
            continue
        return impact, _FOREIGN_FRAME
    return None
