"""A figure as inline SVG: real text in the reader's fonts, colours by role so that the page decides them, few bytes.

Styles become attributes (a page may then forbid inline styles), colours become CSS variables, and every id begins with
`ANCHOR`, which `named` replaces by the name that the block has on its page.
"""

from __future__ import annotations

import io
import re
from html import escape
from xml.etree import ElementTree

from churnlib.show.plots.palette import PALETTE

ANCHOR = "§"  # stands in every id until the block has a name on a page
LIMIT = 150_000  # bytes of one figure
_ROLES = {color.lower(): f"var(--{role})" for role, color in PALETTE.items()}
_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DEFAULTS = {"fill-rule": "nonzero", "stroke-width": "1", "opacity": "1", "text-anchor": "start"}
_FONT = re.compile(r"(?:(bold|\d00) )?([\d.]+)px")


def inline(figure, alt: str) -> str:
    """Give a drawn figure as the markup of one <svg>, and close the figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn within `churnlib.show.plots.style`.
    alt : str
        What the figure shows, in words.

    Returns
    -------
    str
        Markup with no fixed size: it fills its box, in the proportions of its viewBox. Ids begin with `ANCHOR`.
    """
    import matplotlib.pyplot as plt

    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    plt.close(figure)
    root = ElementTree.fromstring(buffer.getvalue())
    used = _referenced(root)
    content = "".join(_markup(child, used) for child in root)
    box = " ".join(f"{float(v):g}" for v in root.get("viewBox").split())
    return f'<svg class="chart" role="img" aria-label="{escape(alt)}" viewBox="{box}">{content}</svg>'


def named(markup: str, name: str) -> str:
    """Give the markup with its ids made unique on a page."""
    return markup.replace(ANCHOR, f"{name}.")


def _referenced(root) -> dict[str, str]:
    """The ids that something points at, with short names in order of appearance."""
    names: dict[str, str] = {}
    for element in root.iter():
        for value in (element.get(_XLINK, ""), element.get("clip-path", ""), element.get("style", "")):
            for found in [value[1:]] if value.startswith("#") else _REFERENCE.findall(value):
                names.setdefault(found, f"{ANCHOR}{len(names)}")
    return names


def _markup(element, used: dict[str, str]) -> str:
    """Write one element and what is in it; groups that only group, and what draws nothing, disappear."""
    tag = element.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return ""
    content = "".join(_markup(child, used) for child in element)
    attributes = _attributes(element, used)
    if element.get("id") == "halo":
        return content.replace("<text", '<text class="halo"', 1)
    if tag == "g" and not (content and attributes):
        return content
    if tag == "defs" and not content or tag == "path" and "d" not in attributes:
        return ""
    if attributes.get("fill") == "none" and attributes.get("stroke", "none") == "none" and "id" not in attributes:
        return ""
    written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    content += escape(element.text.strip(), quote=False) if tag == "text" and element.text else ""
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def _attributes(element, used: dict[str, str]) -> dict[str, str]:
    """The element's attributes and styles as short attributes."""
    out: dict[str, str] = {}
    for name, value in element.attrib.items():
        if name == "id":
            if value in used:
                out["id"] = used[value]
        elif name == _XLINK:
            out["href"] = f"#{used[value[1:]]}"
        elif name == "style":
            out |= _style(value)
        elif name == "d":
            out["d"] = _path(value)
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        else:
            out[name] = _short(value)
    out = {name: _REFERENCE.sub(lambda m: f"url(#{used[m[1]]})", value) for name, value in out.items()}
    return {name: value for name, value in out.items() if _DEFAULTS.get(name) != value}


def _style(style: str) -> dict[str, str]:
    """Styles as attributes: colours by role, the type's size and weight without its family."""
    out = {}
    for part in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name == "font":
            weight, size = _FONT.search(value).groups()
            out["font-size"] = f"{float(size):g}"
            if weight in ("bold", "600", "700"):
                out["font-weight"] = "600"
        elif name.startswith("font-") and name not in ("font-size", "font-weight"):
            continue
        elif name not in ("stroke-linejoin", "stroke-linecap", "stroke-miterlimit"):  # the page's style sheet sets them
            out[name] = _ROLES.get(value.lower(), _short(value))
    return out


def _path(data: str) -> str:
    """A path with one decimal and no blank that it can do without."""
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", _short(" ".join(data.split())))


def _short(value: str) -> str:
    """Numbers rounded to a tenth of a pixel."""
    return _NUMBER.sub(lambda m: f"{round(float(m[0]), 1) + 0.0:g}", value)
