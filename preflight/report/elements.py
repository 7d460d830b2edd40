"""Builds HTML and SVG so that text can only ever be text: what is not `Html` is made harmless and escaped. Pure."""

from __future__ import annotations

import html

from preflight.report.harmless import html_text

_VOID = {"meta", "br", "hr"}

Attribute = str | int | float | None


class Html(str):
    """Text that is HTML already; made by the functions of this module only."""

    __slots__ = ()


def el(tag: str, *children: str, **attributes: Attribute) -> Html:
    """`el("td", text, class_="x")`: an element. Attributes that are None are left out; `_` in a name stands for `-`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html_text(_number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")


def joined(*children: str) -> Html:
    """Several one after the other."""
    return Html("".join(child if isinstance(child, Html) else html_text(child) for child in children))


def whole(text: str) -> Html:
    """Text that is harmless already and must not be cut."""
    return Html(html.escape(text))


def _number(value: Attribute) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
