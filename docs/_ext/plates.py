"""A scraper for sphinx-gallery: the plates that a script leaves in its variables."""

from pathlib import Path

from stxm_live.plotting.paper_figures import Plate

_shown: set[int] = set()


def plate_scraper(block, block_vars, gallery_conf) -> str:
    """Save the figure of each new `Plate`, also in lists, and return its place on the page."""
    pictures = []
    for plate in _plates(block_vars["example_globals"]):
        if id(plate) not in _shown:
            _shown.add(id(plate))
            path = next(block_vars["image_path_iterator"])
            plate.figure.savefig(path, dpi=110)
            name = Path(path).name
            # a click shows it in full size
            pictures.append(
                f".. image:: /{gallery_conf['gallery_dirs']}/images/{name}\n"
                f"   :alt: {plate.name}\n"
                f"   :target: ../_images/{name}\n"
            )
    return "\n".join(pictures)


def _plates(variables):
    for value in list(variables.values()):
        if isinstance(value, Plate):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, Plate))
