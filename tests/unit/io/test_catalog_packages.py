import gc
import sys
from contextlib import suppress

import pytest

from stxm_live.io.catalog import folder


@pytest.mark.parametrize("end", ["pass", "raise ImportError"])
def test_packages_are_imported_without_a_search_for_garbage(tmp_path, monkeypatch, end):
    before = gc.get_threshold()
    (tmp_path / "of_this_test.py").write_text(
        f"import gc, sys; sys.seen = gc.isenabled(), gc.get_threshold()[0]; {end}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "seen", None, raising=False)
    monkeypatch.setattr(folder, "_PACKAGES", ("of_this_test",))
    with suppress(ImportError):
        folder._import_packages()
    sys.modules.pop("of_this_test", None)
    assert sys.seen == (True, 0)  # Dask would leave it off if it were disabled now
    assert gc.get_threshold() == before
