"""Short signatures: types stand in the docstrings, with shapes and units."""

import inspect
import re
from typing import Any

_ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[.*?\], ~numpy\.dtype\[.*?\]\]")


def shortened(_app, what: str, _name: str, obj: Any, _options, signature, returns):
    """Parameters of a class without their types, arrays of a function without their dtypes."""
    if signature is None:
        return None
    if what in ("class", "exception"):
        try:
            parameters = inspect.signature(obj).parameters.values()
        except ValueError:
            return None
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        signature = str(inspect.Signature(bare))
    return tuple(text and _ARRAY.sub("~numpy.ndarray", text) for text in (signature, returns))


def setup(app) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("autodoc-process-signature", shortened)
    return {"parallel_read_safe": True}
