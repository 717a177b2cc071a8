"""A folder of stacks, served by Tiled."""

import asyncio
import warnings

import numpy as np
import sdf_files
import two_phases as two

from stxm_live.io.catalog.tiled_adapter import MIMETYPE, StackAdapter


def test_stacks_in_a_served_folder_are_read_by_a_client_of_tiled(tmp_path):
    from tiled.catalog import in_memory
    from tiled.client import Context, from_context
    from tiled.client.register import register
    from tiled.server.app import build_app

    folder = tmp_path / "served"
    folder.mkdir()
    sdf_files.write_sdf(folder / "s.hdr", two.counts(), two.ENERGIES, x_um=two.X_UM, y_um=two.Y_UM)
    (folder / "damaged.hdr").write_text("nothing")
    adapters = {MIMETYPE: StackAdapter}
    tree = in_memory(adapters_by_mimetype=dict(adapters), readable_storage=[folder])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
        context = Context.from_app(build_app(tree), show_progress=False)
    with context:
        client = from_context(context)
        suffixes = {".hdr": MIMETYPE}
        asyncio.run(
            register(
                client,
                folder,
                mimetypes_by_file_ext=suffixes,
                adapters_by_mimetype=dict(adapters),
            )
        )
        assert list(client) == ["s"]
        stack = client["s"].read()
    np.testing.assert_array_equal(stack["intensity"], two.counts())
    np.testing.assert_allclose(stack["energy_ev"], two.ENERGIES)
    np.testing.assert_allclose(stack["x"], two.X_UM)
