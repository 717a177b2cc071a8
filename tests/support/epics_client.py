"""What a session at the microscope does, run in a process of its own: EPICS reads its environment
once.

``python epics_client.py SCENARIO...`` prints what the scenarios tell, as JSON. The IOC of
one is that of the next as long as it lives.
"""

import faulthandler
import json
import os
import subprocess
import sys
import threading
import time
import tomllib
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import ophyd
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted
from epics_ioc import SHAPE, simulated
from ophyd.signal import EpicsSignalBase
from run_engines import pause_soon

from stxm_live import LivePhaseMapper, Recipe, map_run
from stxm_live.devices import connection, load_devices
from stxm_live.devices.names import names_from
from stxm_live.plans import stxm_overview, stxm_sparse_stack, stxm_stack

NAMES = Path(__file__).parents[2] / "profiles" / "profile_stxm" / "microscope.toml"
RECIPE = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
FIELD = simulated().field()
STANDSTILL_S = 0.3
HANGS_S = 400
"""After so long every thread tells where it is; less than `epics_process.CLIENT_S`."""


class Ioc:
    """An IOC in a process of its own, which can die and be started anew."""

    process = None

    def lives(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        """Start it; it listens then."""
        command = [sys.executable, str(Path(__file__).with_name("epics_ioc.py"))]
        command.append(os.environ["EPICS_CA_SERVER_PORT"])
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self):
        """Let it die, and wait until it has."""
        self.process.kill()
        self.process.wait()


IOC = Ioc()


def wait_until(is_so, patience_s=120):
    """Wait for what happens in a thread or a process of its own."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Session:
    """A RunEngine with live maps, its documents, and the devices."""

    def __init__(self, *, connect_timeout_s=10.0, repeats=0, **timeouts):
        values = tomllib.loads(NAMES.read_text())
        values["image"]["repeats"] = repeats
        values["connect_timeout_s"] = connect_timeout_s
        for name, seconds in timeouts.items():
            table = values["stages"][name] if name in values["stages"] else values[name]
            table["timeout_s"] = seconds
        self.devices = load_devices(names_from(values))
        self.RE = RunEngine({})
        self.docs = []
        self.live = LivePhaseMapper(RECIPE)
        self.RE.subscribe(lambda name, doc: self.docs.append((name, doc)))
        self.RE.subscribe(self.live)

    def plan(self, mode="image", **options):
        d = self.devices
        detector = d.image if mode == "image" else d.line
        y_axis = None if mode == "image" else d.stages["sample_y"]
        energies_ev = options.pop("energies_ev", RECIPE.energies_ev)
        where = {name: options.pop(name) for name in vars(FIELD) if name in options}
        options = {"shutter": d.shutter, "y_axis": y_axis, "mode": mode, **options}
        return stxm_stack(
            detector,
            d.energy,
            energies_ev,
            replace(FIELD, **where),
            monitors=[d.ring_current],
            **options,
        )

    def fails(self, plan):
        """Type and text of what the plan raises."""
        try:
            self.RE(plan)
        except Exception as error:  # noqa: BLE001  which one is what the test asks
            return [type(error).__name__, str(error)]
        return None

    def events(self):
        return [doc for name, doc in self.docs if name == "event"]

    def cube(self):
        field = self.docs[0][1]["stxm"]["data_field"]
        by_number = {doc["seq_num"]: doc["data"][field] for doc in self.events()}
        return np.reshape([by_number[n] for n in sorted(by_number)], (-1, *SHAPE))

    def stop(self):
        return [doc for name, doc in self.docs if name == "stop"][-1]

    def put(self, pv, value):
        import epics

        epics.caput(f"STXM:{pv}", value, wait=True)

    def put_high_limit(self, value_um):
        """Change the soft limit of the x stage, and wait until it is known here."""
        self.put("FINE:X.HLM", value_um)
        wait_until(lambda: self.devices.stages["sample_x"].limits[1] == value_um)

    def is_open(self):
        return self.devices.shutter.is_open


def scan():
    session = Session()
    (uid,) = session.RE(session.plan())
    maps = session.live.wait(uid, timeout_s=120)
    descriptor = next(doc for name, doc in session.docs if name == "descriptor")
    result = {
        "status": maps.status,
        "live_and_replayed_differ": maps.differences(map_run(session.docs, RECIPE)),
        "energies_ev": [doc["data"]["energy"] for doc in session.events()],
        "keys": sorted(session.events()[0]["data"]),
        "open_after": session.is_open(),
        "image_key": descriptor["data_keys"]["image"],
        "hints": descriptor["hints"]["image"],
        "cube_error": float(np.abs(session.cube() - expected_cube(session)).max()),
    }
    session.live.close()
    return result


def expected_cube(session):
    """The specimen that is served, seen at the energies read back."""
    microscope = simulated().microscope
    microscope.begin_image()
    (x0, x1), (y0, y1) = FIELD.x_extent_um, FIELD.y_extent_um
    x_um, y_um = np.linspace(x0, x1, SHAPE[1]), np.linspace(y0, y1, SHAPE[0])
    return np.array(
        [microscope.counts(doc["data"]["energy"], x_um, y_um) for doc in session.events()]
    )


def pause_and_abort():
    session = Session()
    few = {"energies_ev": (505.0, 517.5, 524.0, 530.3), "dwell_ms": 8.0}
    session.RE(session.plan(**few))
    undisturbed = session.cube()

    session.docs.clear()
    while_counting(session.devices.image, lambda: pause_soon(session.RE), number=3)
    interrupted = []
    try:
        session.RE(session.plan(**few))
    except RunEngineInterrupted:
        time.sleep(0.2)
        interrupted = [len(session.events()), session.is_open()]
    session.RE.resume()
    resumed = session.cube()
    after_resume = [session.stop()["exit_status"], session.is_open()]

    session.docs.clear()
    while_counting(session.devices.image, lambda: pause_soon(session.RE), number=3)
    try:
        session.RE(session.plan(**few))
    except RunEngineInterrupted:
        session.RE.abort("enough")
    counter = session.devices.image
    wait_until(lambda: counter.state.get() == 0)  # nobody waits for the counter to stop
    return {
        "paused": interrupted,
        "resumed_differs_by": float(np.abs(resumed - undisturbed).max()),
        "after_resume": after_resume,
        "aborted": [session.stop()["exit_status"], session.stop()["reason"], session.is_open()],
        "counter_state": int(counter.state.get()),
        "dark": dark_image(session),
    }


def dark_image(session):
    """Mean counts behind the closed shutter."""
    session.docs.clear()
    session.RE(session.plan(energies_ev=(517.5,), shutter=None))
    return float(session.cube().mean())


def lines_and_overview():
    session = Session()
    few = {"energies_ev": (505.0, 517.5), "ny": 6, "nx": 9}
    session.RE(session.plan(**few))
    images = np.concatenate([doc["data"]["image"] for doc in session.events()])
    session.docs.clear()
    session.devices.stages["sample_y"].set(0.3).wait(120)
    session.RE(session.plan("line", **few))
    lines = np.concatenate([doc["data"]["line"] for doc in session.events()])
    y_um = [round(doc["data"]["sample_y"], 6) for doc in session.events()]
    d = session.devices
    session.docs.clear()
    some = replace(FIELD, ny=6, nx=9)
    line, y, options = d.line, d.stages["sample_y"], {"share": 0.5, "shutter": d.shutter}
    session.RE(stxm_sparse_stack(line, d.energy, (505.0, 517.5), some, y_axis=y, **options))
    rows = session.docs[0][1]["stxm_live"]["rows"]
    measured = [6 * k + row for k, of_energy in enumerate(rows) for row in of_energy]
    sparse = np.concatenate([doc["data"]["line"] for doc in session.events()]).reshape(-1, 9)
    whole = lines.reshape(-1, 9)[measured]
    session.devices.energy.set(510.0).wait(120)
    field = replace(FIELD, nx=50, ny=50, dwell_ms=0.5)
    session.docs.clear()
    session.RE(stxm_overview(d.image, d.energy, [505.0, 517.5], field, shutter=d.shutter))
    return {
        "lines_and_images_differ_by": float(np.abs(lines - images).max()),
        "rows": rows,
        "rows_and_lines_differ_by": float(np.abs(sparse - whole).max()),
        "rows_ended": [session.is_open(), d.stages["sample_y"].position],
        "y_um": y_um,
        "y_after": d.stages["sample_y"].position,
        "overview": [session.stop()["exit_status"], session.stop()["num_events"]],
        "energy_after": d.energy.position,
        "open_after": session.is_open(),
    }


def refusals():
    session = Session()
    d = session.devices
    d.connect()
    before = (d.energy.position, d.stages["sample_x"].position)
    refused = {
        "energy": session.fails(session.plan(energies_ev=(505.0, 3000.0))),
        "x": session.fails(session.plan(x_extent_um=(-1.0, 51.0))),
        "y": session.fails(session.plan("line", y_extent_um=(-1.0, -51.0))),
    }
    session.put_high_limit(0.5)
    refused["new limit"] = session.fails(session.plan(x_extent_um=(-1.0, 0.6)))
    session.put_high_limit(50.0)
    moved = (d.energy.position, d.stages["sample_x"].position) != before
    return {"refused": refused, "moved": moved, "documents": len(session.docs)}


def faults():
    session = Session(image=1.0, energy=1.5, sample_x=1.5)
    d = session.devices
    d.connect()
    few = {"energies_ev": (505.0, 517.5)}
    told = {}

    session.put("FAULT", 2)
    began = time.monotonic()
    told["counter hangs"] = session.fails(session.plan(**few))
    told["seconds"] = time.monotonic() - began
    told["reason"] = session.stop()["reason"]
    told["open"] = session.is_open()
    session.put("FAULT", 3)
    told["image dropped"] = session.fails(session.plan(**few))
    session.put("FAULT", 1)
    told["energy stuck"] = session.fails(session.plan(energies_ev=(530.0,)))
    told["stage stuck"] = message(d.stages["sample_x"].set(5.0))
    time.sleep(STANDSTILL_S)  # ophyd tells of a failure first and stops the device then
    session.put("FAULT", 0)
    session.put_high_limit(100.0)
    told["limit switch"] = message(d.stages["sample_x"].set(80.0))
    session.put_high_limit(50.0)
    told["stopped"] = stopped(d.energy)
    session.put("FAULT:SECONDS", 1.0)
    while_counting(d.image, lambda: session.put("FAULT", 4))
    told["disconnected"] = session.fails(session.plan(dwell_ms=40.0, **few))
    d.connect(60)
    session.docs.clear()
    told["afterwards"] = session.fails(session.plan(**few)) or session.stop()["exit_status"]
    return told


def while_counting(counter, act, number=1):
    """Act once, on a thread of its own, when the counter counts for this time from now on."""
    seen = [0]

    def see(*, value, **_):
        if value == seen[-1]:
            return
        seen.append(value)
        if value == 2 and seen.count(2) == number:
            counter.state.unsubscribe(subscription)
            threading.Thread(target=act).start()

    subscription = counter.state.subscribe(see, run=False)


def message(status):
    """What a status says when it ends."""
    try:
        status.wait(120)
    except Exception as error:  # noqa: BLE001
        return [type(error).__name__, str(error)]
    return None


def stopped(energy):
    """Where a long way ends that is stopped, well and not."""
    results = []
    for success in (True, False):
        status = energy.set(900.0)
        time.sleep(0.1)
        energy.stop(success=success)
        results.append(message(status))
    time.sleep(STANDSTILL_S)
    first = energy.position
    time.sleep(STANDSTILL_S)
    return [*results, energy.position == first and first < 900]


def ioc_dies():
    session = Session(connect_timeout_s=1.0)
    session.devices.connect(60)
    while_counting(session.devices.image, IOC.kill, number=5)
    error = session.fails(session.plan(dwell_ms=8.0))
    uid = session.docs[0][1]["uid"]
    maps = session.live.wait(uid, timeout_s=60)
    result = {
        "error": error,
        "stop": [session.stop()["exit_status"], session.stop()["reason"]],
        "n_images": len(session.events()),
        "status": maps.status,
        "n_energies": len(maps.energies_ev),
        "warnings": maps.warnings,
    }
    IOC.start()
    session.devices.connect(60)
    session.docs.clear()
    result["again"] = session.fails(session.plan())
    uid = session.docs[0][1]["uid"]
    result["status_again"] = session.live.wait(uid, timeout_s=60).status
    return result


def ioc_is_lost_unnoticed():
    """The moment in which Channel Access knows that a PV is lost, and ophyd does not."""
    connection.PUT_S = 0.3
    session = Session(connect_timeout_s=0.3)
    d = session.devices
    d.connect(60)
    goes_on = threading.Event()
    dispatcher = ophyd.cl.get_dispatcher()
    dispatcher.get_thread_context("metadata").run(goes_on.wait)
    IOC.kill()
    pvs = [walked.item._read_pv for device in d.all for walked in device.walk_signals()]
    wait_until(lambda: not any(pv.connected for pv in pvs))
    for pv in pvs:
        pv.connected = True
    acts = {
        "energy": lambda: d.energy.set(510.0).wait(10),
        "energy.stop": d.energy.stop,
        "shutter": lambda: d.shutter.set("close").wait(10),
        "shutter.pause": d.shutter.pause,
        "stage": lambda: d.stages["sample_x"].set(0.1).wait(10),
        "stage.stop": d.stages["sample_x"].stop,
        "image": lambda: d.image.trigger().wait(10),
        "image.stop": d.image.stop,
    }
    told = {name: timed(act) for name, act in acts.items()}
    goes_on.set()
    return told


def suspended_through_an_outage():
    """The beam goes, the plan waits for it, and meanwhile the IOC dies and is started anew."""
    from bluesky.suspenders import SuspendFloor

    session = Session(repeats=1)
    d = session.devices
    d.connect(60)
    few = {"energies_ev": (505.0, 517.5, 524.0, 530.3), "dwell_ms": 8.0}
    session.RE(session.plan(**few))
    undisturbed = session.cube()
    session.put("FAULT", 3)
    session.docs.clear()
    session.RE(session.plan(**few))
    repeated = float(np.abs(session.cube() - undisturbed).max())

    session.docs.clear()
    suspender = SuspendFloor(d.ring_current.readback, 10.0, resume_thresh=50.0)
    session.RE.install_suspender(suspender)
    seen = {}

    def outage():
        session.put("FAULT", 5)
        wait_until(lambda: suspender.tripped)
        time.sleep(0.5)
        seen["tripped"] = suspender.tripped
        seen["open"] = session.is_open()
        seen["n_images"] = len(session.events())
        IOC.kill()
        IOC.start()

    while_counting(d.image, outage, number=3)
    seen["error"] = session.fails(session.plan(**few))
    seen["open_after"] = session.is_open()
    uid = session.docs[0][1]["uid"]
    return seen | {
        "repeated_differs_by": repeated,
        "differs_by": float(np.abs(session.cube() - undisturbed).max()),
        "status": session.live.wait(uid, timeout_s=60).status,
        "exit": session.stop()["exit_status"],
    }


def timed(act):
    """How long it took, and what it raised."""
    began = time.monotonic()
    try:
        act()
    except Exception as error:  # noqa: BLE001
        return [time.monotonic() - began, type(error).__name__, str(error)]
    return [time.monotonic() - began, "", ""]


def nobody_answers():
    session = Session(connect_timeout_s=0.5)
    try:
        session.devices.connect(0.5)
    except ConnectionError as error:
        return {"message": str(error), "plan": session.fails(session.plan())}
    return {}


SCENARIOS = {
    f.__name__: f
    for f in (
        nobody_answers,
        scan,
        pause_and_abort,
        lines_and_overview,
        refusals,
        faults,
        ioc_dies,
        suspended_through_an_outage,
        ioc_is_lost_unnoticed,
    )
}

if __name__ == "__main__":
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    if sys.argv[1:] != ["ioc_is_lost_unnoticed"]:  # which shows how soon others notice it
        EpicsSignalBase.set_defaults(timeout=30.0)  # 2 s are too few on a busy machine
    told = {}
    try:
        for name in sys.argv[1:]:
            if name != "nobody_answers" and not IOC.lives():
                IOC.start()
            told[name] = SCENARIOS[name]()
    except BaseException:  # noqa: BLE001  told, and then nothing is waited for
        traceback.print_exc()
    finally:
        IOC.kill()
    sys.stdout.write(f"RESULT {json.dumps(told)}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # no waiting for the threads of Channel Access
