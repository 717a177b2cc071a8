"""Style of the dashboard: dark text on white, few colors, no animation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models import Button, Div, Select

from stxm_live.plotting.style.palette import AMBIGUOUS, FAINT, INK

WRAPPED = {"flex-wrap": "wrap", "max-width": "100%"}
"""Styles of a row that continues on a further line if it is too wide."""

_ARROW = (
    'url(\'data:image/svg+xml;utf8,<svg version="1.1" viewBox="0 0 25 20" '
    'xmlns="http://www.w3.org/2000/svg"><path d="M 0,0 25,0 12.5,20 Z" '
    'fill="gray" /></svg>\')'
)
"""Arrow of a list, as Bokeh's own but not black, which a dark page would hide."""

STYLE = f"""
:host {{ font: 13px/1.35 system-ui, "DejaVu Sans", sans-serif; color: var(--ink, {INK}); }}
p {{ margin: 0; }}
h2 {{ font-size: 13px; margin: 6px 0 2px; }}
:host(.verdict) p {{ border-left: 6px solid; padding: 3px 12px; font-size: 17px;
  overflow-wrap: anywhere; }}
p.good {{ color: var(--good, #1b7a3d); }}
p.limited {{ color: var(--limited, #9a5200); }}
p.poor {{ color: var(--poor, #b3202a); }}
p.idle {{ color: var(--ink, {INK}); border-color: var(--line, #b3bac3) !important; }}
:host(.ask) p {{ background: {AMBIGUOUS}; color: #201500; padding: 8px 14px; font-size: 20px;
  border-radius: 4px; margin-bottom: 6px; overflow-wrap: anywhere; }}
:host(.subline), :host(.small), :host(.meaning) {{ color: var(--faint, {FAINT}); font-size: 12px; }}
:host(.subline) {{ overflow-wrap: anywhere; }}
:host(.subline) b {{ color: var(--ink, {INK}); }}
:host(.said) p, :host(.elsewhere) p {{ background: var(--notice, #fff3d6);
  border-left: 6px solid {AMBIGUOUS}; padding: 5px 12px; overflow-wrap: anywhere; }}
:host(.suggestion) ol {{ margin: 0; padding-left: 18px; }}
:host(.suggestion) li {{ margin-bottom: 5px; }}
:host(.notes) ul {{ margin: 0; padding-left: 18px; overflow-wrap: anywhere; font-size: 12px; }}
.track {{ display: inline-block; width: 130px; height: 9px; background: var(--track, #e4e7ea);
  border-radius: 4px; overflow: hidden; vertical-align: 0; margin-right: 8px; }}
.track i {{ display: block; height: 100%; background: var(--faint, {FAINT}); }}
.entry {{ display: inline-block; margin-right: 12px; max-width: 240px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: bottom; font-size: 12px; }}
.entry i {{ display: inline-block; width: 12px; height: 12px; border: 1px solid #8a929c;
  margin-right: 5px; vertical-align: -2px; box-sizing: border-box; }}
.entry i.ramp {{ width: 110px; margin: 0 6px; }}
i.ink {{ display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 5px;
  background: var(--ink, {INK}); }}
.drift-x {{ color: var(--drift-x, #2f6fae); }}
.drift-y {{ color: var(--drift-y, #b3485a); }}
table {{ border-collapse: collapse; font-size: 12.5px; }}
td, th {{ padding: 1px 10px 1px 0; text-align: right; font-variant-numeric: tabular-nums; }}
td:first-child, th:first-child {{ text-align: left; max-width: 150px; overflow: hidden;
  text-overflow: ellipsis; }}
td i {{ display: inline-block; width: 10px; height: 10px; margin-right: 5px;
  border: 1px solid #8a929c; }}
th {{ font-weight: 600; color: var(--faint, {FAINT}); }}
tr.best td {{ font-weight: 700; }}
.bk-input, .choices__inner, .choices__list--dropdown {{
  color: var(--ink, {INK}) !important; background-color: var(--field, #fff) !important;
  border-color: var(--line, #b3bac3) !important; }}
select.bk-input:not([size]) {{ background-image: {_ARROW} !important; }}
.bk-spin-btn {{ --color: var(--ink, {INK}); width: 24px !important; }}
.bk-spin-wrapper {{ width: 100% !important; }}
.bk-input::placeholder, .choices__input {{ color: var(--faint, {FAINT}) !important;
  background-color: transparent !important; }}
.bk-btn-default {{ color: var(--ink, {INK}) !important;
  background-color: var(--field, #fff) !important; border-color: var(--line, #b3bac3) !important; }}
.bk-btn-default.bk-active {{ background-color: var(--track, #e4e7ea) !important;
  box-shadow: inset 0 -3px 0 var(--action, #2b6cb0); }}
.bk-btn-primary {{ color: #fff !important; background-color: var(--action, #2b6cb0) !important;
  border-color: var(--action, #2b6cb0) !important; }}
.bk-btn[disabled] {{ opacity: 0.55; }}
.bk-btn-group {{ flex-wrap: wrap; }}
.bk-tab {{ color: var(--ink, {INK}); border-color: var(--line, #b3bac3) !important; }}
.bk-tab.bk-active {{ color: var(--ink, {INK}) !important;
  background: var(--track, #e4e7ea) !important; }}
.bk-header {{ border-color: var(--line, #b3bac3) !important; }}
.bk-headers-wrapper {{ flex-wrap: wrap !important; }}
.noUi-target, .noUi-connects {{ background: var(--track, #e4e7ea) !important; }}
.noUi-handle {{ background: var(--field, #fff) !important; border-color: var(--faint) !important; }}
"""


def html(text: str, kind: str = "", **options: Any) -> Div:
    """Return a piece of text; ``text`` is HTML, with names escaped."""
    return Div(
        text=text,
        css_classes=[kind] if kind else [],
        stylesheets=[STYLE],
        disable_math=True,
        **{"margin": (1, 6), **options},
    )


def select(
    options: Sequence[tuple[str, str]], on_change: Callable[[str], None], name: str, **look: Any
) -> Select:
    """Return a list of (value, label) to choose from; the first one is chosen."""
    made = Select(
        options=list(options), value=options[0][0], name=name, **{"margin": (2, 6), **look}
    )
    made.on_change("value", lambda attr, old, new: on_change(new))
    return made


def button(
    label: str, act: Callable[[], None], *, kind: str = "default", disabled: bool = False
) -> Button:
    """Return a button whose name is its label."""
    made = Button(label=label, button_type=kind, name=label, disabled=disabled)
    made.on_click(lambda _: act())
    return made
