"""Small NXstxm files laid out as the programs of the beamlines write them."""

import h5py
import numpy as np

ENERGIES = np.array([700.0, 701.5, 702.0])
X_UM = np.array([-2.0, -1.5, -1.0, -0.5])
Y_UM = np.array([10.0, 11.0, 12.0])


def counts(k, row, column):
    return 1000.0 + 100 * k + 10 * row + column


CUBE = counts(*np.indices((3, 3, 4)))


def latin_1(node, name, raw, *, says_utf_8=True):
    """An attribute of a text that is not what it says: PolLux writes its µm so."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(h5py.h5t.VARIABLE)
    kind.set_cset(h5py.h5t.CSET_UTF8 if says_utf_8 else h5py.h5t.CSET_ASCII)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    value = np.empty((), dtype=h5py.special_dtype(vlen=bytes))
    value[()] = raw
    h5py.h5a.create(node.id, name.encode(), kind, space).write(value)


def group(parent, name, nx_class):
    made = parent.create_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def write_cls(path, *, cube=CUBE, energies=ENERGIES, scan_type=b"SAMPLE IMAGE STACK", detectors=1):
    """The suitcase of pyStxm: scalars, upper case, seconds, ring current in control."""
    with h5py.File(path, "w") as file:
        entry = group(file, "entry0", "NXentry")
        entry["definition"] = b"NXstxm"
        control = group(entry, "control", "NXmonitor")
        control["data"] = np.broadcast_to(np.array([250.0, 249.0, 248.0])[:, None, None], (3, 3, 4))
        for k in range(detectors):
            data = group(entry, f"counter{k}", "NXdata")
            data.attrs["axes"] = ["energy", "sample_y", "sample_x"]
            data.attrs["signal"] = "data"
            data["data"] = (cube + k).astype("f4")
            data["stxm_scan_type"] = scan_type
            data["count_time"] = np.full(len(energies), 0.001)
            data["energy"], data["sample_y"], data["sample_x"] = energies, Y_UM, X_UM
            data["energy"].attrs["units"] = "eV"
            data["count_time"].attrs["units"] = "s"
            data["sample_x"].attrs["units"] = "um"
    return path


def write_pollux(path, *, old_axes=False, photon_energy=False):
    """Pixelator: entry1, arrays of one, units in latin-1, another order of the axes."""
    with h5py.File(path, "w") as file:
        entry = group(file, "entry1", "NXentry")
        entry.create_dataset("definition", data=[b"NXstxm"])
        entry["definition"].attrs["version"] = "1.1"
        data = group(entry, "counter0", "NXdata")
        energy = "photon_energy" if photon_energy else "energy"
        data["stxm_scan_type"] = [b"Sample Image Stack"]
        data["data"] = CUBE.transpose(1, 2, 0)
        data["count_time"] = np.array([0.01])
        data[energy], data["sample_y"], data["sample_x"] = ENERGIES, Y_UM, X_UM
        data[energy].attrs["units"], data["count_time"].attrs["units"] = "eV", "s"
        latin_1(data["sample_x"], "units", b"\xb5m")
        latin_1(data["sample_y"], "units", b"\xb5m", says_utf_8=False)
        data["sample_x"][2] = np.nan
        if old_axes:
            for name, place in ((energy, 3), ("sample_y", 1), ("sample_x", 2)):
                data[name].attrs["axis"] = place
        else:
            data.attrs["axes"] = np.array(["sample_y", "sample_x", energy], dtype="S")
    return path


def write_pollux_2017(path, *, monitors=("control", "energy")):
    """Pixelator 1.3: µm in UTF-8 bytes, and NXmonitor groups with the same axes as the counts."""
    with h5py.File(path, "w") as file:
        entry = group(file, "entry1", "NXentry")
        entry.create_dataset("definition", data=[b"NXstxm"])
        for name in (*monitors, "counter0"):
            data = group(entry, name, "NXdata" if name == "counter0" else "NXmonitor")
            data.attrs["axes"] = np.array(["energy", "sample_y", "sample_x"], dtype="S")
            data.attrs["signal"] = np.bytes_("data")
            data["data"] = CUBE if name == "counter0" else np.full(CUBE.shape, 401.0)
            data["data"].attrs["units"] = np.bytes_(" ")
            data["energy"], data["sample_y"], data["sample_x"] = ENERGIES, Y_UM, X_UM
            data["energy"].attrs["units"] = np.bytes_("eV")
            for axis in ("sample_x", "sample_y"):
                data[axis].attrs["units"] = np.bytes_("\u03bcm".encode())
        data["count_time"] = np.full(3, 0.01)
        data["count_time"].attrs["units"] = np.bytes_("s")
        data.create_dataset("stxm_scan_type", data=[b"sample image stack"])
    return path


def write_hermes(path, *, counter="Counter0", beamline=b"Hermes"):
    """HERMES and SoftiMAX: the names of NXstxm without a definition, a unit or an attribute."""
    with h5py.File(path, "w") as file:
        data = file.create_group(f"entry1/{counter}")
        data["data"] = CUBE
        data["energy"], data["sample_y"], data["sample_x"] = ENERGIES, Y_UM, X_UM
        file["entry1/collection/beamline"] = [beamline]
    return path


def write_i08(path):
    """Diamond I08: an early definition, positions in mm, no unit anywhere."""
    with h5py.File(path, "w") as file:
        entry = group(file, "entry1", "NXentry")
        entry.create_dataset("definition", data=[b"NXstxm"])
        data = group(entry, "Counter1", "NXdata")
        data["scan_type"] = [b"Sample"]
        data["data"], data["count_time"] = CUBE, np.full(3, 0.01)
        axes = {"photon_energy": ENERGIES, "sample_y": Y_UM / 1e4, "sample_x": X_UM / 1e4}
        for place, (name, values) in enumerate(axes.items(), start=1):
            data[name] = values  # 0.1 um pixels in mm
            data[name].attrs["axis"] = place
    return path


def write_pystxmcontrol_3(path, *, regions=1, cube=CUBE, scan_type="Image"):
    """Version 3: an entry per region, ms without a unit, zeros where not measured yet."""
    with h5py.File(path, "w", libver="latest") as file:
        for k in range(regions):
            entry = group(file, f"entry{k}", np.bytes_("NXentry"))
            entry["version"] = 3.0
            entry["definition"] = [b"NXstxm"]
            entry.create_group("instrument/motors")
            entry["instrument/default/data"] = np.zeros((3, 17))
            data = group(entry, "default", np.bytes_("NXdata"))
            axes = [np.bytes_(n) for n in ("energy", "sample_y", "sample_x")]
            data.attrs["axes"], data.attrs["signal"] = axes, "data"
            data["stxm_scan_type"] = [scan_type]
            data["data"] = cube + 1000 * k
            data["count_time"] = np.full(3, 2.5)
            data["energy"], data["sample_y"], data["sample_x"] = ENERGIES, Y_UM, X_UM
            data["motor_name_x"] = "SampleX"
    return path


def write_pystxmcontrol_2(path, *, binned=True):
    """Versions 2.0 and 2.1: what was measured apart from what was asked for."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry0")
        entry["definition"] = b"2.1" if binned else b"2.0"
        entry.create_group("motors")
        data = entry.create_group("counter0")
        data["stxm_scan_type"] = [b"Image"]
        data["count_time"] = np.full(3, 2.5)
        data["energy"] = ENERGIES
        # two points a pixel, off by a tenth of a pixel; none came near the last pixel of row 0
        data["data"] = np.repeat(CUBE, 2, axis=2) + np.tile([-1.0, 1.0], 4)
        x = np.broadcast_to(np.repeat(X_UM, 2) + np.tile([-0.05, 0.05], 4), (3, 3, 8)).copy()
        x[:, 0, 6:] = 50.0
        data["sample_x"], data["sample_y"] = x, np.zeros((3, 3, 8))
        entry["requested_values/sample_x"] = X_UM
        entry["requested_values/sample_y"] = Y_UM
        if binned:
            entry["binned_values/data"] = CUBE
            entry["binned_values/sample_x"], entry["binned_values/sample_y"] = X_UM, Y_UM
    return path
