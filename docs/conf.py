"""Configuration of Sphinx; `make docs` builds with warnings as errors and without a network."""

import sys
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
MEASURED = HERE.parents[1] / "shared" / "data" / "als_fe_l23_71214078_sdf.tgz"
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests" / "support")]

import architecture  # noqa: E402
import schemas  # noqa: E402
from plates import plate_scraper  # noqa: E402

project = "stxm_live"
author = copyright = "The stxm_live developers"
release = version = installed_version("stxm-live")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "signatures",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery", "pictures", "reference/generated/*.inc.md"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme = "furo"
html_title = "stxm_live"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False

default_role = "py:obj"
autosummary_ignore_module_all = False
autosummary_generate = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config, model_post_init"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

nitpicky = True
# Not checked: other packages (no network), what a docstring names of its own module, and types in
# signatures that have no page.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!stxm_live\.).*"),
    (r"py:class", r"stxm_live\.\w+\..*"),
]
suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_",
    # the measured stack is no part of the project: without it there is no page of it
    "ignore_pattern": r"__init__\.py" if MEASURED.is_file() else r"__init__\.py|measured",
    "image_scrapers": ("matplotlib", plate_scraper),
    "capture_repr": ("_repr_html_", "__repr__"),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")


def setup(app) -> None:
    """Write the pages that are made from the code before Sphinx looks for sources."""

    def from_the_code(*_: object) -> None:
        generated = HERE / "reference" / "generated"
        schemas.write(generated)
        architecture.write(HERE.parent, generated)

    app.connect("config-inited", from_the_code)
