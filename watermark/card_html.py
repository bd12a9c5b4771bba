"""HTML and SVG that cannot be broken by what is put into it: every text is escaped once."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

from countermark.signing.names import printable

__all__ = ["Html", "element", "join", "page", "table"]

_EMPTY: Final = frozenset(("meta", "line", "circle", "rect", "path", "col"))


class Html(str):
    """Markup: what `element` made. Any other string is text, and is escaped."""

    __slots__ = ()


def element(name: str, *children: str, attributes: Mapping[str, str | float] | None = None) -> Html:
    """Return an element.

    Args:
        name: A name from this program, never from a file.
        children: Markup, or text.
        attributes: By name; numbers are written with two decimals at most.

    """
    written = "".join(f' {key}="{_value(value)}"' for key, value in (attributes or {}).items())
    if name in _EMPTY:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    """Return markup and texts, one after the other."""
    return Html("".join(one if isinstance(one, Html) else _escaped(one) for one in children))


def page(title: str, style: str, *children: str) -> str:
    """Return a whole document that needs no script and fetches nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", attributes={"charset": "utf-8"}),
        element("meta", attributes={"name": "viewport", "content": "width=device-width"}),
        element("meta", attributes={"http-equiv": "Content-Security-Policy", "content": policy}),
        element("title", title),
        element("style", Html(style)),
    )
    main = element("main", element("h1", title), *children)
    whole = element("html", head, element("body", main), attributes={"lang": "en"})
    return f"<!DOCTYPE html>\n{whole}\n"


def table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Html:
    """Return a table whose first column names its rows."""
    column = {"scope": "col"}
    header = element("tr", *(element("th", cell, attributes=column) for cell in head))
    body = [
        element(
            "tr",
            element("th", row[0], attributes={"scope": "row"}),
            *(element("td", cell) for cell in row[1:]),
        )
        for row in rows
    ]
    inner = element(
        "table",
        element("caption", caption),
        element("thead", header),
        element("tbody", *body),
    )
    # A wide table scrolls by itself, also by keyboard.
    frame: dict[str, str | float] = {
        "class": "wide",
        "tabindex": "0",
        "role": "region",
        "aria-label": caption,
    }
    return element("div", inner, attributes=frame)


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return _escaped(value)
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return html.escape(printable(text), quote=True)
