"""A plug-in that fails is named with its package; all else works as before."""

import importlib
import json
import sys

import numpy as np
import pytest
from made_up_maps import maps as made_up
from particles import documents, image_documents, particle_stack
from typer.testing import CliRunner

from stxm_live import LivePhaseMapper, suggest_regions
from stxm_live.cli import app
from stxm_live.core import plugins
from stxm_live.core.plugins import GROUPS, PluginError
from stxm_live.core.scan import StackScan
from stxm_live.io.documents import announced
from stxm_live.io.files import read_stack, write_nexus_stxm

READER = """
import numpy as np
from stxm_live import Stack

def read(path, *, region, detector):
    return Stack.from_arrays(np.ones((2, 3, 4)), [500.0, 510.0])
"""
SHAPE = """
from stxm_live import StackScan
from stxm_live.io.documents import Announced, ScanOrder, RunShape

def shape(start):
    start.pop("plan_name")
    scan = StackScan(shape=(2, 3, 4), energies_ev=(500.0, 510.0), data_field="counts",
                     x_extent_um=(0.0, 3.0), y_extent_um=(0.0, 2.0))
    return RunShape("theirs", (Announced(scan, ScanOrder(scan.shape)),))
"""
START = {"uid": "5f2a91c0-0000", "plan_name": "theirs", "time": 1.0}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay packages into a folder as pip does: a module, and what its metadata say."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    modules = []

    def forget():
        plugins.plugins.cache_clear()
        plugins._imported.cache_clear()
        importlib.invalidate_caches()

    def install(package, kind, point, source, version="1.2"):
        module = package.replace("-", "_")
        modules.append(module)
        (folder / f"{module}.py").write_text(source)
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        name, function = point
        text = f"[{GROUPS[kind]}]\n{name} = {module}:{function}\n"
        (info / "entry_points.txt").write_text(text)
        forget()

    yield install
    forget()
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def file(tmp_path):
    """Opens a new file of a suffix."""

    def file(suffix):
        path = tmp_path / f"particle{suffix}"
        path.write_bytes(b"?")
        return path

    return file


def test_a_package_that_cannot_be_imported_is_named_and_nxstxm_is_read(install, tmp_path):
    install("stxm-broken", "reader", ("broken.hdf5", "read"), "import no_such_module")
    stack = particle_stack()
    write_nexus_stxm(tmp_path / "good.hdf5", stack)
    assert np.array_equal(read_stack(tmp_path / "good.hdf5").intensity(), stack.intensity())
    assert "stxm_broken" not in sys.modules
    (tmp_path / "bad.hdf5").write_bytes(b"?")
    with pytest.raises(PluginError) as error:
        read_stack(tmp_path / "bad.hdf5")
    assert str(tmp_path / "bad.hdf5") in str(error.value)
    assert (
        "reader 'broken.hdf5' of package stxm-broken 1.2 cannot be imported "
        "(ModuleNotFoundError: No module named 'no_such_module'); update or uninstall it"
    ) in str(error.value)


def test_a_failing_import_is_tried_and_logged_once(install, file, caplog):
    install("stxm-broken", "reader", (".xrm", "read"), "import no_such_module")
    for _ in range(2):
        with pytest.raises(PluginError, match="no_such_module"):
            read_stack(file(".xrm"))
    assert [r.message for r in caplog.records if r.exc_info] == [
        "reader '.xrm' of package stxm-broken 1.2 cannot be imported"
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('energy')", r"failed \(KeyError: 'energy'\); if the data are sound"),
        ("return {}", "returned dict, expected Stack or None"),
        ("return None", r"particle\.xrm: not recognised by reader 'lab\.xrm' of package stxm-lab"),
    ],
)
def test_what_a_reader_does_wrong_is_said_with_its_package(install, file, body, message):
    install("stxm-lab", "reader", ("lab.xrm", "read"), f"def read(path, **options):\n    {body}")
    with pytest.raises(ValueError, match=message):
        read_stack(file(".xrm"))


def test_two_packages_with_one_name_are_both_named_and_neither_is_used(install, file):
    for package in ("stxm-one", "stxm-two"):
        install(package, "reader", ("lab.xrm", "read"), READER)
    message = r"'lab\.xrm' is in packages stxm-one 1\.2 and stxm-two 1\.2; uninstall one"
    with pytest.raises(PluginError, match=message):
        read_stack(file(".xrm"))


def test_two_packages_that_recognise_a_file_are_both_named(install, file):
    for package in ("one", "two"):
        install(f"stxm-{package}", "reader", (f"{package}.xrm", "read"), READER)
    with pytest.raises(PluginError, match=r"recognised by .*stxm-one 1\.2 and .*stxm-two 1\.2"):
        read_stack(file(".xrm"))


def test_one_that_fails_beside_one_that_reads_is_logged(install, file, caplog):
    install("stxm-broken", "reader", ("broken.xrm", "read"), "def read(path): pass")
    install("stxm-lab", "reader", ("lab.xrm", "read"), READER)
    assert read_stack(file(".XRM")).energies_ev == (500.0, 510.0)
    (record,) = caplog.records
    assert "reader 'broken.xrm' of package stxm-broken 1.2 failed" in record.message


def test_the_error_for_an_unknown_file_lists_the_plug_ins(install, file):
    install("stxm-lab", "reader", ("lab.xrm", "read"), READER)
    with pytest.raises(
        ValueError, match=r"cannot read \.mat; known suffixes are .*\.ncb.*'lab\.xrm' of"
    ):
        read_stack(file(".mat"))


@pytest.mark.parametrize(
    "source", ["raise SystemExit", "def read(path, *, region, detector): raise SystemExit"]
)
def test_a_plug_in_that_ends_the_program_is_an_error_of_its_file(install, file, source):
    install("stxm-broken", "reader", (".xrm", "read"), source)
    with pytest.raises(PluginError, match=r"stxm-broken 1.2 .*SystemExit was raised"):
        read_stack(file(".xrm"))


def test_what_we_read_ourselves_no_plug_in_is_asked_about(install):
    install("stxm-lab", "document shape", ("lab", "shape"), SHAPE)
    scan = StackScan(
        shape=(2, 5, 6),
        energies_ev=(520.0, 530.0),
        data_field="counts",
        x_extent_um=(0.0, 5.0),
        y_extent_um=(0.0, 4.0),
    )
    assert announced(START | scan.metadata()).name == "stxm block"
    assert announced(START, scan).name == "described by hand"
    assert "stxm_lab" not in sys.modules


def test_a_shape_gets_a_document_of_its_own_and_the_fields_of_the_recipe(install):
    install("stxm-lab", "document shape", ("lab", "shape"), SHAPE)
    from stxm_live.core.recipe_options import FieldOptions

    start = dict(START)
    found = announced(start, fields=FieldOptions(image="pmt"))
    assert found.name == "theirs (document shape 'lab' of package stxm-lab 1.2)"
    assert found.stacks[0].scan.data_field == "pmt"
    assert start == START


def test_a_grid_scan_that_we_give_up_may_be_a_plug_ins(install):
    start = START | {"motors": ["a", "b", "c"], "shape": [2, 3, 4]}
    with pytest.raises(ValueError, match="which of the motors a, b, c is the photon energy"):
        announced(start)
    install("stxm-lab", "document shape", ("lab", "shape"), SHAPE)
    assert announced(start).name.startswith("theirs (")


def test_a_failing_shape_ends_no_scan_and_is_reported(install, nvpf, caplog):
    install("stxm-lab", "document shape", ("lab", "shape"), "def shape(start):\n    1 / 0")
    errors = []
    with LivePhaseMapper(nvpf) as live:
        live.add_sink(on_error=lambda uid, error: errors.append((uid, str(error))))
        theirs = feed(live, documents([], None, md={"plan_name": "theirs"}, shape=(3, 4)))
        ours = feed(live, image_documents())
        with pytest.raises(PluginError, match="document shape 'lab' of package stxm-lab"):
            live.wait(theirs, timeout_s=60)
        assert live.wait(ours, timeout_s=60).status == "complete"
    ((uid, text),) = errors
    assert uid == theirs
    assert "ZeroDivisionError" in text
    assert text in [record.message for record in caplog.records if record.levelname == "ERROR"]


def feed(live, stream):
    """Hand a run's documents over; its uid."""
    uid = None
    for name, doc in stream:
        uid = doc["uid"] if name == "start" else uid
        live(name, doc)
    return uid


def test_check_says_which_plug_in_failed(install, tmp_path):
    install("stxm-lab", "document shape", ("lab", "shape"), "def shape(start):\n    return 7")
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(["start", START]))
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 1
    text = " ".join(done.output.split())
    assert "no stxm block" in text
    assert "'lab' of package stxm-lab 1.2 returned int, expected RunShape or None" in text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", r"criterion 'lab' of package stxm-lab 1\.2 failed \(ZeroDivisionError"),
        ("return None", r"returned None, expected numbers of shape \(60, 80\)"),
        ("return maps.correlation", r"returned float32 of shape \(5, 60, 80\), expected"),
        (
            "return -1.0 * maps.specimen",
            "returned -1 to -?0, expected finite numbers, not negative",
        ),
    ],
)
def test_what_a_criterion_does_wrong_is_said_with_its_package(install, body, message):
    install("stxm-lab", "criterion", ("lab", "lab"), f"def lab(maps):\n    {body}")
    with pytest.raises(PluginError, match=message):
        suggest_regions(made_up(), 1, size_um=0.3, criterion="lab")


def test_what_a_criterion_does_not_know_is_worth_nothing(install):
    source = (
        "import numpy as np\n"
        "def lab(maps):\n"
        "    worth = np.full(maps.specimen.shape, np.nan)\n"
        "    worth[30, 40] = 1\n"
        "    return worth"
    )
    install("stxm-lab", "criterion", ("lab", "lab"), source)
    regions = suggest_regions(made_up(), 3, size_um=0.3, criterion="lab")
    assert [region.criterion for region in regions] == ["lab"]


def test_a_criterion_with_the_name_of_one_of_ours_is_an_error(install):
    install("stxm-lab", "criterion", ("rare", "lab"), "def lab(maps): return maps.od[0]")
    message = "'rare' is one of stxm_live and one of package stxm-lab 1.2; uninstall or rename"
    with pytest.raises(PluginError, match=message):
        suggest_regions(made_up(), 1, size_um=0.3, criterion="rare")
    assert suggest_regions(made_up(), 1, size_um=0.3, criterion="boundaries")


def test_the_error_for_an_unknown_criterion_lists_the_plug_ins(install):
    install("stxm-lab", "criterion", ("lab", "lab"), "")
    with pytest.raises(ValueError, match=r"unknown; expected one of doubt, .*od-2018, lab"):
        suggest_regions(made_up(), 1, size_um=0.3, criterion="worth")


def test_the_command_plugins_fails_if_one_is_broken(install):
    install("stxm-broken", "criterion", ("broken", "lab"), "raise OSError('no licence')")
    install("stxm-lab", "criterion", ("lab", "lab"), "def lab(maps): return maps.od[0]")
    install("stxm-no", "criterion", ("no", "lab"), "lab = 7")
    done = CliRunner().invoke(app, ["plugins"])
    text = " ".join(done.output.split())
    assert done.exit_code == 1
    assert "lab of package stxm-lab 1.2" in text
    assert "package stxm-broken 1.2 cannot be imported (OSError: no licence)" in text
    assert "criterion 'no' of package stxm-no 1.2 is not a function but 7; update" in text
