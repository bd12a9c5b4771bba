"""Write the watermark-normalisation-v1 vectors; run without arguments from anywhere.

Nothing here imports Countermark, and nothing is computed from its rules: every expected text
is written out by hand, and look-alikes are given by their Unicode names.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"
ZERO_WIDTH, SOFT_HYPHEN, FENCE = "\u200b", "\u00ad", "`" * 3

# Latin letter: Cyrillic | Greek | others, without the words that all of them share.
NAMES = """
A CAPITAL A | CAPITAL ALPHA | CHEROKEE LETTER GO
B CAPITAL VE | CAPITAL BETA | CHEROKEE LETTER YV
C CAPITAL ES | CAPITAL LUNATE SIGMA SYMBOL | CHEROKEE LETTER TLI
D | | CHEROKEE LETTER A
E CAPITAL IE | CAPITAL EPSILON | CHEROKEE LETTER GV
G CAPITAL KOMI SJE | | CHEROKEE LETTER NAH
H CAPITAL EN | CAPITAL ETA | CHEROKEE LETTER MI
I CAPITAL BYELORUSSIAN-UKRAINIAN I, PALOCHKA | CAPITAL IOTA |
J CAPITAL JE | CAPITAL YOT | CHEROKEE LETTER GU
K CAPITAL KA | CAPITAL KAPPA | CHEROKEE LETTER TSO
L | | CHEROKEE LETTER TLE
M CAPITAL EM | CAPITAL MU, CAPITAL SAN | CHEROKEE LETTER LU
N | CAPITAL NU |
O CAPITAL O | CAPITAL OMICRON | ARMENIAN CAPITAL LETTER OH
P CAPITAL ER | CAPITAL RHO | CHEROKEE LETTER TLV
Q CAPITAL QA | |
R | | CHEROKEE LETTER E
S CAPITAL DZE | | CHEROKEE LETTER DU, ARMENIAN CAPITAL LETTER TIWN
T CAPITAL TE | CAPITAL TAU | CHEROKEE LETTER I
U | | ARMENIAN CAPITAL LETTER SEH
V CAPITAL IZHITSA | | CHEROKEE LETTER DO
W CAPITAL WE | | CHEROKEE LETTER LA
X CAPITAL HA | CAPITAL CHI |
Y CAPITAL U, CAPITAL STRAIGHT U | CAPITAL UPSILON |
Z | CAPITAL ZETA | CHEROKEE LETTER NO
a SMALL A | SMALL ALPHA |
c SMALL ES | LUNATE SIGMA SYMBOL |
d SMALL KOMI DE | |
e SMALL IE | |
h SMALL SHHA | | ARMENIAN SMALL LETTER HO
i SMALL BYELORUSSIAN-UKRAINIAN I | SMALL IOTA |
j SMALL JE | YOT |
k | SMALL KAPPA |
l SMALL PALOCHKA | |
n | SMALL ETA | ARMENIAN SMALL LETTER VO
o SMALL O | SMALL OMICRON | ARMENIAN SMALL LETTER OH
p SMALL ER | SMALL RHO |
q SMALL QA | | ARMENIAN SMALL LETTER ZA
s SMALL DZE | |
u | SMALL UPSILON | ARMENIAN SMALL LETTER SEH
v SMALL IZHITSA | SMALL NU |
w SMALL WE | |
x SMALL HA | SMALL CHI |
y SMALL U, SMALL STRAIGHT U | SMALL GAMMA |
"""

V, L, P, M, R = "visible", "letters", "punctuation", "markdown", "reflowed"
# Name: section, why, text, and each variant after `as-is`.
CASES: dict[str, tuple[str, str, str, list[tuple[str, str]]]] = {
    "plain": ("2.2", "nothing to undo", "Plain words.\n\nMore, 2 * 3 = 6.", []),
    "empty": ("2.2", "nothing at all", "", []),
    "every-step": (
        "2.1",
        "six variants, each step on top of the one before",
        f"T{ZERO_WIDTH}he f\u043ex \u201cran\u201d **home**\nnow.",
        [
            (V, "The f\u043ex \u201cran\u201d **home**\nnow."),
            (L, "The fox \u201cran\u201d **home**\nnow."),
            (P, 'The fox "ran" **home**\nnow.'),
            (M, 'The fox "ran" home\nnow.'),
            (R, 'The fox "ran" home now.'),
        ],
    ),
    "zero-width": ("3.1", "between and inside words", f"a{ZERO_WIDTH} b\u2060c", [(V, "a bc")]),
    "soft-hyphen": ("3.1", "a hint nobody sees", f"water{SOFT_HYPHEN}mark", [(V, "watermark")]),
    "bidi": ("3.1", "overrides change what is read", "a\u202eb\u202c\u2066c\u2069", [(V, "abc")]),
    "selectors": ("3.1", "both blocks", "a\ufe0fb\U000e0100c", [(V, "abc")]),
    "tags": ("3.1", "hidden ASCII", "a\U000e0068\U000e0069b", [(V, "ab")]),
    "controls": ("3.1", "in a text that is all ASCII", "a\x00b\x08c\x7f", [(V, "abc")]),
    "line-ends": (
        "3.2",
        "each becomes one",
        "a.\r\n\r\nb\u2029\x85c\r\rd",
        [(V, "a.\n\nb\n\nc\n\nd")],
    ),
    "cr-zero-width-lf": ("3.2", "removal comes first", "a\r\u200b\n\nb", [(V, "a\n\nb")]),
    "nfc": ("3.3", "an accent of its own", "cafe\u0301 na\u0131f", [(V, "caf\u00e9 na\u0131f")]),
    "marks": ("3.3", "x composes with no ring", "x" + "\u030a" * 31, [(V, "x" + "\u030a" * 30)]),
    "marks-limit": ("3.3", "thirty stay", "x" + "\u030a" * 30, []),
    "fullwidth": (
        "4.1",
        "letters and digits; punctuation stays, Chinese needs it",
        "\uff28\uff49\uff11\uff01",
        [(L, "Hi1\uff01")],
    ),
    "mathematical": (
        "4.1",
        "bold, script h (outside the block), double-struck",
        "\U0001d41b\U0001d428\u210e \u211d\U0001d7d9",
        [(L, "boh R1")],
    ),
    "circled": ("4.1", "both cases", "\u24b6\u24d1", [(L, "Ab")]),
    "ligatures": ("4.1", "one character becomes several", "o\ufb03ce", [(L, "office")]),
    "spaces": ("4.1", "no-break, thin, narrow", "a\u00a0b\u2009c\u202fd", [(L, "a b c d")]),
    "cyrillic-in-latin": (
        "4.6",
        "nothing foreign is left as Latin; as Cyrillic, k and u would be, and b, r, n",
        "qu\u0456\u0441k br\u043ewn",
        [(L, "quick brown")],
    ),
    "greek-in-latin": ("4.6", "omicron and nu", "the \u03bf\u03bdeT", [(L, "the oveT")]),
    "latin-in-cyrillic": (
        "4.6",
        "the same the other way: Latin o and e in a Russian word",
        "\u043f\u0440o\u0448e\u043b",
        [(L, "\u043f\u0440\u043e\u0448\u0435\u043b")],
    ),
    "mostly-cyrillic-word": (
        "4.6",
        "four of five letters are Cyrillic, and k shows that the word is not",
        "qui\u0441k \u051bu\u0456\u0441k",
        [(L, "quick quick")],
    ),
    "mixed-look-alikes": ("4.6", "either would do: Latin", "\u0441\u043epy", [(L, "copy")]),
    "formula": ("4.6", "one Greek letter is not most of two", "let \u0394x be", []),
    "no-look-alike": ("4.4", "a letter that looks like none stays", "wor\u0436d", []),
    "whole-word": (
        "4.7",
        "every letter looks Latin",
        "a \u0441\u043e\u0440\u0443 of it",
        [(L, "a copy of it")],
    ),
    "one-cyrillic-letter": ("4.7", "an article", "\u0430 copy", [(L, "a copy")]),
    "one-greek-letter": ("4.7", "a symbol", "an \u03b1 particle", []),
    "cyrillic-word": ("4.7", "not every letter looks Latin", "say \u043c\u0438\u0440 often", []),
    "russian": (
        "4.7",
        "mostly Cyrillic: words that look Latin stay, and so do Latin ones",
        "\u043e\u0441\u0430 \u043b\u0435\u0442\u0438\u0442 a sea",
        [],
    ),
    "only-cyrillic": ("4.5", "no Latin letter, nothing to fold", "\u043e\u0441\u0430", []),
    "accent-after-fold": (
        "4.8",
        "Cyrillic a and an acute have no composed form, Latin a has",
        "f\u0430\u0301r",
        [(L, "f\u00e1r")],
    ),
    "quotes": (
        "5",
        "single, low, double",
        "\u2018a\u2019 \u201ab\u201b \u201ec\u201f \u201cd\u201d 5\u2032 6\u2033",
        [(P, "'a' 'b' \"c\" \"d\" 5' 6\"")],
    ),
    "dashes": ("5", "em dashes are two", "1\u20132 a\u2014b \u22121", [(P, "1-2 a--b -1")]),
    "ellipsis": ("5", "three dots", "well\u2026", [(P, "well...")]),
    "guillemets": ("5", "no typist's shortcut: they stay", "\u00aba\u00bb", []),
    "emphasis": (
        "6.6",
        "one, two, three, underscores, code, struck out",
        "*a* **b**, ***c*** _d_ `e` ~~f~~.",
        [(M, "a b, c d e f.")],
    ),
    "not-emphasis": ("6.6", "operators and names", "2 * 3 snake_case a*b ~5", []),
    "link": ("6.5", "text stays", "see [the page](https://x.org/a?b).", [(M, "see the page.")]),
    "image-link": ("6.5", "an image in a link takes two passes", "[![a](b)](c)", [(M, "a")]),
    "not-a-link": ("6.5", "between letters, or with a blank", "f[i](j)k [a](b c)", []),
    "headings": (
        "6.7",
        "one to six, and no seventh",
        "# A\n\n###### B\n\n####### C",
        [(M, "A\n\nB\n\n####### C")],
    ),
    "lists": (
        "6.7",
        "each kind of mark, nested",
        "- a\n\n* b\n\n  + c\n\n1. d\n\n12) e\n\n\u2022 f\n\n> - g",
        [(M, "a\n\nb\n\nc\n\nd\n\ne\n\nf\n\ng")],
    ),
    "not-lists": ("6.7", "no blank after the mark", "-1\n\n1.5\n\n#tag\n\n1234567890. x", []),
    "fence": (
        "6.3",
        "the lines of the fence go, code stays",
        f"a\n\n{FENCE}py\nx = 1\n{FENCE}\n\nb",
        [(M, "a\n\nx = 1\n\nb")],
    ),
    "rules": (
        "6.4",
        "under a heading, or alone",
        "A\n===\n\nb\n\n* * *\n\nc",
        [(M, "A\n\nb\n\n\nc"), (R, "A\n\nb\n\nc")],
    ),
    "nested-links": ("6.8", "eight passes are not enough", "[" * 9 + "a" + "](b)" * 9, []),
    "nested-links-limit": (
        "6.8",
        "seven, and one that changes nothing",
        "[" * 7 + "a" + "](b)" * 7,
        [(M, "a")],
    ),
    "hard-wrapped": ("7", "lines join, paragraphs stay", "a\nb\n\n\nc\n", [(R, "a b\n\nc")]),
    "runs-of-blanks": ("7", "all of Unicode's", "a  b\t\u3000c ", [(R, "a b c")]),
}


def look_alikes() -> dict[str, dict[str, list[str]]]:
    """Return the table of section 4.3."""
    table = {}
    for line in NAMES.strip().splitlines():
        cyrillic, greek, others = line[1:].split("|")
        table[line[0]] = {
            "cyrillic": _characters(cyrillic, "CYRILLIC"),
            "greek": _characters(greek, "GREEK"),
            "others": _characters(others, ""),
        }
    return table


def _characters(names: str, script: str) -> list[str]:
    found = []
    for name in filter(None, map(str.strip, names.split(","))):
        case, _, rest = name.rpartition(" ") if " " not in name else name.partition(" ")
        forms = [
            name,
            f"{script} LETTER {name}",
            f"{script} {name}",
            f"{script} {case} LETTER {rest}",
        ]
        found.append(next(c for form in forms if (c := _lookup(form))))
    return found


def _lookup(name: str) -> str:
    try:
        return unicodedata.lookup(name.strip())
    except KeyError:
        return ""


def main() -> None:
    """Write every vector, and remove what is not one."""
    VECTORS.mkdir(exist_ok=True)
    for old in VECTORS.glob("*.json"):
        old.unlink()
    documents: dict[str, object] = {"look-alikes": {"spec": "4.3", "rows": look_alikes()}}
    for name, (section, why, text, changed) in CASES.items():
        documents[f"text-{name}"] = {
            "spec": section,
            "why": why,
            "text": text,
            "variants": [["as-is", text], *map(list, changed)],
        }
    for name, document in documents.items():
        line = json.dumps(document, indent=1, sort_keys=True) + "\n"
        (VECTORS / f"{name}.json").write_text(line, encoding="utf-8")
    print(f"{len(documents)} vectors")


if __name__ == "__main__":
    main()
