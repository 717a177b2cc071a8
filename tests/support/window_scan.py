"""A scan under a RunEngine with a window, in a process of its own; prints what was drawn when."""

import json
import os
import sys
import threading

import numpy as np


def main(backend):
    if backend == "qtagg":
        from PySide6 import QtWidgets

        application = QtWidgets.QApplication([])  # noqa: F841  matplotlib looks for it
    import matplotlib as mpl

    mpl.use(backend)
    from bluesky import RunEngine

    from stxm_live import LivePhaseMapper, Recipe
    from stxm_live.plans import stxm_stack
    from stxm_live.plotting import LiveFigure
    from stxm_live.sim.instrument import SimulatedMicroscope

    recipe = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
    microscope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra, rng=np.random.default_rng(3), shape=(40, 40), frame_time_s=0.2
    )
    figure = LiveFigure(size_in=(8, 6), dpi=60)
    figure.show()
    threads = set()
    drawn_in_scan = []
    with LivePhaseMapper(recipe) as live:
        live.add_sink(figure, own_thread=True)
        # Bluesky keeps windows of Qt alive by itself
        run_engine = RunEngine({}) if backend == "qtagg" else RunEngine({}, during_task=figure)
        run_engine.subscribe(live)
        figure._window.figure.canvas.mpl_connect(
            "draw_event", lambda _: threads.add(threading.current_thread().name)
        )
        run_engine.subscribe(lambda name, doc: drawn_in_scan.append(figure.n_drawn), "stop")
        for scan in range(2):
            (uid,) = run_engine(
                stxm_stack(
                    microscope.camera,
                    microscope.energy,
                    recipe.energies_ev,
                    microscope.field(),
                )
            )
            live.wait(uid, timeout_s=60)
            if scan == 0:
                figure.close()
    told = {
        "drawn_in_scans": drawn_in_scan,
        "threads": sorted(threads),
        "is_closed": figure._window.is_closed,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the toolkits of a hidden display need not be taken down


if __name__ == "__main__":
    main(sys.argv[1])
