"""A detector card as a page for people: one HTML file, without scripts and remote resources.

Everything on it is in the card's JSON as well. Each plot is followed by its figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from countermark.watermark.card import AfterEdit, Card, FalseAlarms, Found, Rate
from countermark.watermark.card_html import Html, element, page, table
from countermark.watermark.card_plots import (
    Bars,
    Point,
    Series,
    bar_plot,
    line_plot,
    log_plot,
)

__all__ = ["card_page"]

_FEW: Final = 3.0
_POOLS: Final = {
    "keys-and-files": "every key, every file",
    "answers": "answers, corrected for all keys",
    "scan": "scan, corrected for all windows and keys",
    "files": "key",
    "keys": "file",
}
_MOST_SERIES: Final = 6

_STYLE: Final = """
:root{--paper:#fff;--ink:#1a1a1a;--soft:#595959;--rule:#c4c4c4;
--s0:#0b5cad;--s1:#a33d00;--s2:#1f6f3a;--s3:#7a2a9e;--s4:#8a1538;--s5:#4d5a00;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#ececec;--soft:#b4b4b4;
--rule:#4c5258;
--s0:#7db8ff;--s1:#ffb27a;--s2:#86d6a0;--s3:#d9a6f2;--s4:#ff9db0;--s5:#d3dd6b}}
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
max-width:52rem;margin:0 auto;padding:1rem}
h1,h2{line-height:1.2}h2{margin-top:2.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:1rem 0}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{padding:.2rem .7rem .2rem 0;text-align:left;border-bottom:1px solid var(--rule);
vertical-align:top;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
thead th{white-space:nowrap}code{overflow-wrap:anywhere}
svg{width:100%;height:auto;display:block}svg text{fill:var(--ink);font-size:12px}
.grid{stroke:var(--rule)}.ideal{stroke:var(--soft);stroke-dasharray:5 4}
.error{stroke-width:2}.whisker{stroke:var(--ink)}.curve{fill:none;stroke-width:2}
.s0{fill:var(--s0);stroke:var(--s0)}.s1{fill:var(--s1);stroke:var(--s1)}
.s2{fill:var(--s2);stroke:var(--s2)}.s3{fill:var(--s3);stroke:var(--s3)}
.s4{fill:var(--s4);stroke:var(--s4)}.s5{fill:var(--s5);stroke:var(--s5)}
.curve.s0,.curve.s1,.curve.s2,.curve.s3,.curve.s4,.curve.s5{fill:none}
"""


def card_page(card: Card) -> str:
    """Return the page."""
    return page(
        "Detector card",
        _STYLE,
        *_summary(card),
        *_sources(card),
        *_alarms(card),
        *_quantiles(card),
        *_found(card),
        *_edited(card),
        *_limits(card),
    )


def _summary(card: Card) -> list[Html]:
    first = card.false_alarms[0]
    rate = first.rates[0]
    alarms = (
        f"Of {rate.trials:,} trials with unmarked passages of {first.length} tokens "
        f"{_share(rate)} were called marked at a level of {rate.alpha:g}."
    )
    longest = max((row for row in card.found if not row.model), key=lambda row: row.length)
    strict = longest.rates[-1]
    found = (
        f"Of {strict.trials:,} marked texts of {longest.length} tokens {_share(strict)} were "
        f"found at a level of {strict.alpha:g}."
    )
    how = (
        "In brackets are exact 95 % intervals (Clopper and Pearson), as if trials were independent."
        " No answer of this detector says that a human wrote a text."
    )
    return [element("p", sentence) for sentence in (alarms, found, how)]


def _sources(card: Card) -> list[Html]:
    keys = [(key.id, key.scheme, str(key.width)) for key in card.keys]
    files = [
        (one.name, one.role, f"{one.texts:,}", f"{one.tokens:,}", one.sha256)
        for one in card.sources
    ]
    pairs = ", ".join(f"{n:,} of width {w}" for w, n in sorted(card.common_pairs.items()))
    return [
        element("h2", "What was measured"),
        table("Keys that were tried", ("key", "scheme", "context width"), keys),
        table("Texts", ("file", "role", "texts", "tokens", "SHA-256"), files),
        element("p", "Tokenizer: SHA-256 ", element("code", card.tokenizer_sha256), "."),
        element("p", f"Commonplaces left out: {pairs or 'none'}. Seed of the edits: {card.seed}."),
    ]


def _alarms(card: Card) -> list[Html]:
    rows = [
        (
            _pool(row),
            str(row.length),
            f"{rate.alpha:g}",
            f"{rate.hits:,} of {rate.trials:,}",
            _share(rate),
            _enough(rate),
        )
        for row in card.false_alarms
        for rate in row.rates
    ]
    series = [
        Series(
            name=f"{_pool(row)}, {row.length} tokens",
            points=tuple(_point(rate, rate.alpha) for rate in row.rates),
        )
        for row in card.false_alarms
        if row.pooled != "files"
    ]
    plot = log_plot(
        "False alarms",
        "Observed share of unmarked passages called marked, over the level that was promised. "
        "Points on the dashed line are as promised, points below it better.",
        series[:_MOST_SERIES],
        ("level that was promised", "share observed"),
    )
    pooling = (
        "Passages do not overlap. Where keys are pooled, each passage counts once for each key: "
        "the intervals are then somewhat too narrow, as they are where passages share phrases."
    )
    head = ("pooled over", "tokens", "level", "called marked", "share", "false alarms expected")
    return [
        element("h2", "False alarms"),
        element("figure", plot),
        table("Unmarked passages that were called marked", head, rows),
        element("p", pooling),
    ]


def _quantiles(card: Card) -> list[Html]:
    points = [(one.expected, 10.0 ** max(one.log10_observed, -300.0)) for one in card.quantiles]
    series = Series(
        name="p-values", points=tuple(Point(x=x, y=y, low=y, high=y) for x, y in points)
    )
    plot = log_plot(
        "P-values of unmarked text",
        "Each p-value against what it should be by its rank. Points on the dashed line are "
        "uniform; below it there are too many small ones.",
        [series],
        ("expected by rank", "observed"),
    )
    rows = [(f"{x:.3g}", f"{y:.3g}") for x, y in points]
    figures = table("P-values by rank", ("expected", "observed"), rows)
    return [
        element("h2", "P-values of unmarked text"),
        element("figure", plot),
        element("details", element("summary", "The figures"), figures),
    ]


def _found(card: Card) -> list[Html]:
    parts = [element("h2", "Marked texts found, by length")]
    for model in dict.fromkeys(row.model for row in card.found):
        rows = [row for row in card.found if row.model == model]
        title = f"Found by length: {model}" if model else "Found by length"
        plot = line_plot(
            title,
            "Share of marked texts that were found, over how many tokens of them were read.",
            _by_level(rows),
            ("tokens", "share found"),
        )
        head = ("tokens", "level", "found", "share")
        figures = [
            (str(row.length), f"{rate.alpha:g}", f"{rate.hits:,} of {rate.trials:,}", _share(rate))
            for row in rows
            for rate in row.rates
        ]
        parts += [element("figure", plot), table(title, head, figures)]
    return parts


def _by_level(rows: Sequence[Found]) -> list[Series]:
    return [
        Series(
            name=f"at {alpha:g}",
            points=tuple(
                _point(rate, row.length)
                for row in rows
                for rate in row.rates
                if rate.alpha == alpha
            ),
        )
        for alpha in dict.fromkeys(rate.alpha for row in rows for rate in row.rates)
    ]


def _edited(card: Card) -> list[Html]:
    bars = [
        Bars(label=_label(row), shares=tuple(_point(rate, 0.0) for rate in row.rates))
        for row in card.edited
    ]
    levels = [f"at {rate.alpha:g}" for rate in card.edited[0].rates]
    length = card.edited[0].length
    plot = bar_plot(
        "Found after edits",
        f"Share of marked texts of {length} tokens that were found after each edit.",
        bars,
        levels,
    )
    rows = [
        (_label(row), row.on, *(f"{rate.hits:,}: {_share(rate)}" for rate in row.rates))
        for row in card.edited
    ]
    trials = card.edited[0].rates[0].trials
    caption = f"Found of {trials:,} texts of {length} tokens"
    note = (
        "“Normalised” also tries the text with invisible characters, look-alikes and the like "
        "undone, and pays for each trial. Diluted texts are scanned window by window."
    )
    return [
        element("h2", "Marked texts found after edits"),
        element("figure", plot),
        table(caption, ("edit", "of", *levels), rows),
        element("p", note),
    ]


def _limits(card: Card) -> list[Html]:
    parts = [
        element("h2", "What was not measured"),
        element("ul", *(element("li", sentence) for sentence in card.not_measured)),
        element("h2", "About the schemes"),
    ]
    for scheme, notes in card.notes.items():
        parts.append(element("h3", scheme))
        parts.append(element("ul", *(element("li", note) for note in notes)))
    return parts


def _pool(row: FalseAlarms) -> str:
    what = _POOLS[row.pooled]
    return f"{what} {row.name}" if row.name else what


def _label(row: AfterEdit) -> str:
    if row.edit == "dilution":
        return f"dilution 1:{row.strength:g}, scan"
    how = ", normalised" if row.judged == "normalised" else ""
    share = "" if row.strength in (0.0, 1.0) else f" {row.strength:.0%}"
    return f"{row.edit}{share}{how}"


def _enough(rate: Rate) -> str:
    expected = rate.alpha * rate.trials
    few = " (too few to tell)" if expected < _FEW else ""
    return f"{expected:.3g}{few}{', more than promised' if rate.exceeds else ''}"


def _share(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.observed:.3g} ({low:.3g} to {high:.3g})"


def _point(rate: Rate, x: float) -> Point:
    low, high = rate.interval
    return Point(x=x, y=rate.observed, low=low, high=high)
