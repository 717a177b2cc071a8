"""Layout of the dashboard's page: named parts in a grid of CSS, and what the browser reports."""

from __future__ import annotations

from importlib.resources import files

from bokeh.core.properties import Any as AnyValue
from bokeh.core.properties import List, String
from bokeh.document import Document
from bokeh.events import ConnectionLost, DocumentReady
from bokeh.model import DataModel
from bokeh.models import CustomJS, LayoutDOM, Tabs, Widget
from jinja2 import Template

from stxm_live.dashboard.figures import PATIENT_MOUSE, MapFigure
from stxm_live.dashboard.style import STYLE

MAP_GAP_PX = 14
MAP_MIN_PX = 290
"""Gap between two maps, and the least width of one, as in the style sheet."""

_FRAME_PX = 200, 760
"""Least and largest width of the frame of a map."""

_REST_PX = 330
"""Height in px that is kept for everything but the frames of the maps, if they fit in a row."""

_REPORT_BROWSER = """
const tell = () => {
  const style = getComputedStyle(document.documentElement);
  const maps = document.querySelector(".maps");
  const header = document.querySelector("header");  // on a phone the maps have no box of their own
  const width = maps === null ? window.innerWidth - 350 : maps.clientWidth || header.clientWidth;
  browser.of = [width, window.innerHeight, style.getPropertyValue("--is-dark").trim() === "1"];
};
let timer = null;
const later = () => { clearTimeout(timer); timer = setTimeout(tell, 200); };
window.addEventListener("resize", later);
window.addEventListener("theme", tell);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
tell();
"""

_WRITE_ADDRESS = """
const url = new URL(window.location.href);
for (const name of [...url.searchParams.keys()])
  if (name !== "token" && name !== "theme") url.searchParams.delete(name);
for (const [name, value] of new URLSearchParams(browser.query)) url.searchParams.set(name, value);
window.history.replaceState(null, "", url);
"""

LOST = (
    "Connection lost: this page is no longer updated. The scan does not depend on it. The page "
    "reloads when the dashboard answers again; if the dashboard was restarted, open its new link."
)

_SAY_LOST = """
const note = document.createElement("p");
note.id = "lost";
note.setAttribute("role", "alert");
note.style.cssText = "position:sticky;top:0;z-index:1000;margin:0;padding:8px 14px;"
  + "font:600 16px system-ui,'DejaVu Sans',sans-serif;color:#fff;background:#b3202a";
note.textContent = said;
document.body.prepend(note);
const url = new URL(window.location.href);
if (url.searchParams.has("run") && !url.searchParams.has("result")) {  // it followed the newest
  url.searchParams.set("was", url.searchParams.get("run"));
  url.searchParams.delete("run");
  window.history.replaceState(null, "", url);
}
const look = async () => {
  const signal = AbortSignal.timeout(30000);
  const answer = await fetch(window.location.href, {cache: "no-store", signal}).catch(() => null);
  if (answer !== null && answer.ok) window.location.reload();
  else setTimeout(look, 2000);
};
setTimeout(look, 1000);
"""


class Browser(DataModel):  # type: ignore[misc]
    """What the browser reports: width of the maps and height of the window in px, dark or not.

    ``query`` is what its address shall say of the view, see `link`.
    """

    of = List(AnyValue, default=[])
    query = String(default="")


def open_page(doc: Document, parts: dict[str, LayoutDOM], browser: Browser, title: str) -> None:
    """Place named parts in the page of a browser's document."""
    with doc.models.freeze():  # or Bokeh collects all models again for each part: .3 s
        for name, part in parts.items():
            part.name = name
            doc.add_root(part)
    here = files("stxm_live.dashboard")
    doc.template = Template((here / "live_page.html").read_text(encoding="utf-8"))
    doc.template_variables["page_css"] = (here / "live_page.css").read_text(encoding="utf-8")
    doc.template_variables["patient_mouse"] = PATIENT_MOUSE
    doc.title = title
    doc.js_on_event(DocumentReady, CustomJS(args={"browser": browser}, code=_REPORT_BROWSER))
    browser.js_on_change("query", CustomJS(args={"browser": browser}, code=_WRITE_ADDRESS))
    doc.js_on_event(ConnectionLost, CustomJS(args={"said": LOST}, code=_SAY_LOST))
    # Bokeh's own message is small, and its reconnection fails for lack of arrays
    doc.config.update(notify_connection_status=False, reconnect_session=False)


def style_widgets(parts: dict[str, LayoutDOM]) -> None:
    """Give all buttons, lists and fields the colors of the page."""
    for part in parts.values():
        for each in (*part.select({"type": Widget}), *part.select({"type": Tabs})):
            if STYLE not in each.stylesheets:
                each.stylesheets = [*each.stylesheets, STYLE]


def frame_width_px(maps_px: float, window_px: float) -> int:
    """Return the width of a map's frame for the width of all maps and the window's height.

    Examples
    --------
    >>> [frame_width_px(width, 800) for width in (366, 610, 930)]
    [300, 232, 234]
    """
    n = max(1, min(3, int((maps_px + MAP_GAP_PX) // (MAP_MIN_PX + MAP_GAP_PX))))
    beside = (maps_px - (n - 1) * MAP_GAP_PX) / n - MapFigure.BESIDE_PX
    tallest = window_px - _REST_PX if n == 3 else _FRAME_PX[1]
    return int(min(max(min(beside, tallest), _FRAME_PX[0]), _FRAME_PX[1]))
