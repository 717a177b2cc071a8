"""SDF files as the ALS and MAX IV programs write them, with the parts a test asks for."""

import numpy as np


def _axis(name, positions, unit):
    points = ", ".join(f"{p:.4f}" for p in positions)
    return (
        f'{{ Name = "{name}"; Unit = "{unit}"; Min = {min(positions)}; Max = {max(positions)}; '
        f"Dir = 1;\n Points = ({len(positions)}, {points});\n}}"
    )


def write_sdf(
    path,
    images,
    energies,
    *,
    x_um=None,
    y_um=None,
    flags="Image Stack",
    scan_type="NEXAFS Image Scan",
    unit="um",
    counter=("counter0", "counts"),
    dwell_ms=1.0,
):
    """A header and its images, (n, ny, nx); a single image has no number in its name."""
    _, ny, nx = images.shape
    x_um = 0.1 * np.arange(nx) if x_um is None else x_um
    y_um = 0.1 * np.arange(ny) if y_um is None else y_um
    path.write_text(
        f'ScanDefinition = {{ Label = "{path.name}"; Type = "{scan_type}"; Flags = "{flags}"; '
        f"Dwell = {dwell_ms};\n"
        f" Regions = (1,\n{{\n PAxis = {_axis('Sample X', x_um, unit)};\n"
        f" QAxis = {_axis('Sample Y', y_um, unit)};\n}});\n"
        f" StackAxis = {_axis('Energy', energies, 'eV')};\n"
        f' Channels = (1,\n{{ Name = "{counter[0]}"; Unit = "{counter[1]}";}});\n}};\n'
        + "".join(
            f"Image{k:03d}_0 = {{StorageRingCurrent = 300.0; Energy = {e:.2f};}};\n"
            for k, e in enumerate(energies)
        ),
        encoding="latin-1",
    )
    for k, image in enumerate(images):
        number = "" if flags == "Image" else f"{k:03d}"
        rows = "\n".join("\t".join(f"{v:g}" for v in row) + "\t" for row in image)
        path.with_name(f"{path.stem}_a{number}.xim").write_text(rows + "\n")
    return path
