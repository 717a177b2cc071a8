"""A small simulated particle as a stack and as documents, with its truth."""

from functools import cache

import numpy as np
from event_model import compose_run

from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

NY, NX = 60, 72


@cache
def particle_counts(photons=3000, seed=5):
    """Counts (13, NY, NX) without drift, energies in eV, and the particle."""
    recipe = Recipe.load("nvpf")
    rng = np.random.default_rng(seed)
    particle = make_particle((NY, NX), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    counts = rng.poisson(photons * np.exp(-od)).astype(np.float32)
    counts.flags.writeable = False
    return counts, recipe.energies_ev, particle


def particle_stack(**options):
    counts, energies_ev, _ = particle_counts(**options)
    return Stack.from_arrays(counts, energies_ev, extent_um=(0.0, 2.13, 1.77, 0.0))


def particle_scan(**changes):
    _, energies_ev, _ = particle_counts()
    values = {
        "shape": (len(energies_ev), NY, NX),
        "energies_ev": energies_ev,
        "x_extent_um": (0.0, 2.13),
        "y_extent_um": (1.77, 0.0),
        "energy_motor": "energy",
        "data_field": "counts",
    }
    return StackScan(**(values | changes))


def documents(
    events,
    scan,
    *,
    exit_status="success",
    md=None,
    fields=("energy", "counts"),
    shape=None,
):
    """A run with these events, each (seq_num or None, {field: value}).

    With ``md`` given, it replaces the scan's blocks of the start document.
    """
    run = compose_run(metadata=scan.metadata() if md is None else md)
    yield "start", run.start_doc
    keys = {
        field: {"source": "test", "dtype": "number", "shape": []}
        if field == "energy"
        else {"source": "test", "dtype": "array", "shape": list(shape or scan.image_shape)}
        for field in fields
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for number, data in events:
        yield (
            "event",
            stream.compose_event(
                data=data,
                timestamps=dict.fromkeys(data, 0.0),
                seq_num=number,
                validate=False,
            ),
        )
    if exit_status:
        yield "stop", run.compose_stop(exit_status=exit_status, reason="")


def image_events(*, skip=(), change=lambda k, image: image, order=None):
    counts, energies_ev, _ = particle_counts()
    for k in range(len(energies_ev)) if order is None else order:
        if k not in skip:
            yield None, {"energy": energies_ev[k], "counts": change(k, counts[k])}


def line_events(*, lines=None):
    counts, energies_ev, _ = particle_counts()
    for n in range(len(energies_ev) * NY) if lines is None else lines:
        k, row = divmod(n, NY)
        yield n + 1, {"counts": counts[k, row]}


def line_documents(lines=None, **options):
    return documents(
        line_events(lines=lines), particle_scan(), fields=("counts",), shape=(NX,), **options
    )


def image_documents(**options):
    return documents(image_events(**options), particle_scan())


SDF_HEADER = """
ScanDefinition = {{ Label = "{name}.hdr"; Type = "NEXAFS Image Scan"; Flags = "Image Stack";
    Dwell = 1;
	Regions = (1,
{{
			PAxis = {{ Name = "Sample X"; Unit = "um"; Min = 0; Max = {x}; Dir = 1;
				Points = ({nx}, {columns});
}};
			QAxis = {{ Name = "Sample Y"; Unit = "um"; Min = 0; Max = {y}; Dir = 1;
				Points = ({ny}, {rows});
}};
}});
	StackAxis = {{ Name = "Energy"; Unit = "eV"; Min = {low}; Max = {high}; Dir = 1;
		Points = ({n}, {energies});
}};
	Channels = (1,
{{ Name = "counter0"; Unit = "counts";}});
}};
Time = "2007 December 14 18:52:00";
"""


def write_sdf(folder, name):
    """The particle as an SDF stack ``name.hdr`` with its ``.xim`` files."""
    counts, energies_ev, _ = particle_counts()
    x, y = np.arange(NX) * 0.03, np.arange(NY) * 0.03
    header = SDF_HEADER.format(
        name=name,
        x=x[-1],
        y=y[-1],
        nx=NX,
        ny=NY,
        columns=", ".join(f"{v:.3f}" for v in x),
        rows=", ".join(f"{v:.3f}" for v in y),
        low=energies_ev[0],
        high=energies_ev[-1],
        n=len(energies_ev),
        energies=", ".join(f"{e}" for e in energies_ev),
    )
    (folder / f"{name}.hdr").write_text(header)
    for k, image in enumerate(counts):
        lines = ("".join(f"{value:.6f}\t" for value in row) for row in image)
        (folder / f"{name}_a{k:03d}.xim").write_text("\n".join(lines) + "\n")
