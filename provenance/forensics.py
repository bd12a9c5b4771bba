"""What happened to a broken mark in text, and what would make it whole again.

The verdict on a text is about the text at hand, and stays what it is. This says, beside it, what
the mark itself shows, and which ways of undoing a known kind of damage give content whose
credentials hold: each is judged as any content is, and nothing is said to help that was not tried.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from countermark.provenance.carrier import Carrier, Place
from countermark.provenance.comment_styles import CommentStyle
from countermark.provenance.errors import MalformedContentError, ProvenanceError
from countermark.provenance.html_script import HtmlScript
from countermark.provenance.selectors import decode_selectors, encode_selectors, selector_count
from countermark.provenance.text_block import BEGIN, END, TextBlock
from countermark.provenance.text_repairs import MARK, MARKER, Repair, mark_spans, repairs
from countermark.provenance.text_wrapper import HEADER_BYTES, MAGIC, TextWrapper
from countermark.provenance.verdict import Diagnosis
from countermark.signing.verdict import Outcome

__all__ = ["MAX_FORENSIC_BYTES", "diagnose"]

MAX_FORENSIC_BYTES = 8 << 20
MAX_JUDGED = 16  # Repaired contents that are judged; each costs a whole verification.
_MAX_TRIED = 160  # Repaired contents that are looked at, and ...
_MAX_TRIED_BYTES = 32 << 20  # ... how many bytes those may have together.
_MAX_STEPS = 3  # A reply adds a prefix to each line, and a line end, and changes the others.

# Nothing is wrong with the content itself; whether its signer is trusted is another question.
_WHOLE = frozenset(
    {
        Outcome.VERIFIED,
        Outcome.UNTRUSTED_SIGNER,
        Outcome.OUTSIDE_VALIDITY,
        Outcome.INCONCLUSIVE,
        Outcome.REFUSED,
    }
)
_CARRIERS: tuple[tuple[bytes, Carrier], ...] = (
    (MARK, TextWrapper()),
    (BEGIN, TextBlock(CommentStyle("#"), "text/plain")),
    (b"application/c2pa", HtmlScript()),
)
# Selectors of three bytes alone: what is left where four bytes cannot be stored.
_SHORT_SELECTORS = re.compile(rb"(?:\xef\xb8[\x80-\x8f]){16,}+")
_LONG_SELECTORS = encode_selectors(MAGIC[:-1])
# What a mark leaves behind, in whatever state: without any of it there is nothing to look for.
_TRACE = re.compile(
    b"|".join(
        (
            re.escape(_LONG_SELECTORS),
            _SHORT_SELECTORS.pattern,
            rb"C2PA MANIFEST|application/c2pa",
            rb"\\u[fF][eE][fF][fF]|&#(?:65279|[xX][fF][eE][fF][fF]);",
            "\u00ef\u00bb\u00bf\u00f3\u00a0".encode(),
            rb"\A(?:\xff\xfe|\xfe\xff)",
        )
    )
)
_ZERO_SELECTOR = encode_selectors(b"\0")


class _Candidate(NamedTuple):
    """Content with one or more kinds of damage undone."""

    data: bytes
    steps: tuple[Repair, ...]


def diagnose(data: bytes, judge: Callable[[bytes], Outcome] | None = None) -> tuple[Diagnosis, ...]:
    """Return what seems to have happened to a mark, the repairs that work first.

    Args:
        data: Text, code or HTML whose credentials are broken or gone.
        judge: Verifies repaired content; without it nothing is said to work.

    Returns:
        Nothing, if nothing is known to have happened, there is no trace of a mark, or there are
        more than `MAX_FORENSIC_BYTES`.

    """
    if len(data) > MAX_FORENSIC_BYTES or not _TRACE.search(data):
        return ()
    if judge is not None:
        worked = _working(data, judge)
        if worked:
            return worked
    seen = {repair.code: repair for repair in repairs(data) if repair.evident}
    evident = tuple(Diagnosis(repair.code, repair.sentence) for repair in seen.values())
    return evident + tuple(_observed(data))


def _working(data: bytes, judge: Callable[[bytes], Outcome]) -> tuple[Diagnosis, ...]:
    judged = 0
    for candidate in _candidates(data):
        if not _plausible(candidate.data):
            continue
        outcome = judge(candidate.data)
        if outcome in _WHOLE:
            return tuple(
                Diagnosis(step.code, step.sentence, step.repair, outcome)
                for step in candidate.steps
            )
        judged += 1
        if judged == MAX_JUDGED:
            break
    return ()


def _candidates(data: bytes) -> Iterator[_Candidate]:
    """Yield repaired contents: with one repair, then with two, then with three."""
    tried = {hash(data)}
    allowed = min(_MAX_TRIED, _MAX_TRIED_BYTES // max(len(data), 1))
    level = [_Candidate(data, ())]
    for _ in range(_MAX_STEPS):
        following = []
        for candidate in level:
            for repair in chain(repairs(candidate.data), _added_before(candidate.data)):
                key = hash(repair.data)
                if key in tried:
                    continue
                tried.add(key)
                if len(tried) > allowed:
                    return
                repaired = _Candidate(repair.data, (*candidate.steps, repair))
                yield repaired
                following.append(repaired)
        # What can be seen is undone first: guesses on top of it are worth more.
        following.sort(key=lambda one: not one.steps[-1].evident)
        level = following


def _added_before(data: bytes) -> Iterator[Repair]:
    """Yield the text without what seems to have been put before it."""
    place = _found(data)
    start = _start(place) if place else None
    declared = _declared_start(place) if place else None
    if start is not None and declared is not None and declared < start:
        more = start - declared
        yield Repair(
            "text-added-before",
            f"{more} bytes were added before the text",
            "remove what is before it",
            data[more:],
        )


def _plausible(data: bytes) -> bool:
    """Return whether a mark is where its manifest says that it is: cheaper than judging."""
    place = _found(data)
    if place is None:
        return False
    declared = _declared_start(place)
    return bool(place.url) or declared is None or declared == _start(place)


def _found(data: bytes) -> Place | None:
    for sign, carrier in _CARRIERS:
        if sign in data:
            try:
                place = carrier.find(io.BytesIO(data))
            except MalformedContentError:
                continue
            if place is not None:
                return place
    return None


def _start(place: Place) -> int | None:
    return place.exclusions[0].start if place.exclusions else None


def _declared_start(place: Place) -> int | None:
    """Return where the manifest says that it stands; None if it cannot be asked."""
    from countermark.provenance.store import read_store

    if not place.store:
        return None
    try:
        binding = read_store(place.store).active.data_hash
    except ProvenanceError:
        return None
    return binding.exclusions[0].start if binding and binding.exclusions else None


def _observed(data: bytes) -> Iterator[Diagnosis]:
    """Yield what cannot be undone, or could not."""
    yield from _cut(data)
    yield from _selectors_lost(data)
    if BEGIN in data and END not in data:
        yield Diagnosis("mark-cut", "the manifest block is cut off: its end is not there")
    yield from _text_changed(data)


def _cut(data: bytes) -> Iterator[Diagnosis]:
    for start, stop in mark_spans(data)[:1]:
        run = data[start + len(MARKER) : stop]
        content = decode_selectors(run)
        count = selector_count(run)
        if len(content) < HEADER_BYTES:
            yield Diagnosis("mark-cut", f"the mark is cut off after {count} of its characters")
            return
        wanted = HEADER_BYTES + int.from_bytes(content[HEADER_BYTES - 4 : HEADER_BYTES], "big")
        if len(content) < wanted:
            share = 100 * len(content) // wanted
            yield Diagnosis(
                "mark-cut",
                f"the mark is cut off: {count} of its {wanted} characters are here, {share} %",
            )


def _selectors_lost(data: bytes) -> Iterator[Diagnosis]:
    short = _SHORT_SELECTORS.search(data)
    at = data.find(_LONG_SELECTORS)
    rest = data[at + len(_LONG_SELECTORS) :] if at >= 0 else b""
    if short and MARK not in data and at < 0:
        yield Diagnosis(
            "selectors-lost",
            "the mark lost every character that takes four bytes in UTF-8; the rest says nothing",
        )
    elif at >= 0 and not rest.startswith(_ZERO_SELECTOR):
        yield Diagnosis(
            "selectors-lost",
            "the mark lost some of its characters; which ones they were cannot be known",
        )


def _text_changed(data: bytes) -> Iterator[Diagnosis]:
    """Say of a whole mark how the text in front of it differs from the signed one."""
    place = _found(data)
    if place is None or (start := _start(place)) is None:
        return
    declared = _declared_start(place)
    if declared is None:
        return
    if declared > start:
        yield Diagnosis(
            "excerpt",
            f"the mark is whole; {declared} bytes stood before it when it was signed, {start} are "
            "here: what is missing cannot be restored from the mark",
        )
    elif declared < start:
        yield Diagnosis(
            "text-longer",
            f"the mark is whole; {declared} bytes stood before it when it was signed, {start} are "
            "here",
        )
    else:
        yield Diagnosis(
            "text-changed",
            f"the mark is whole, and stands behind as many bytes as were signed, {start}",
        )
