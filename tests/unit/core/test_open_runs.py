"""Runs of several RunEngines, whose documents come on threads of their own."""

import gc
import sys
import threading
import time

from stxm_live.core.open_runs import OpenRuns


def let_others_go_on(*_):
    time.sleep(0)


def test_documents_of_several_threads_keep_their_runs():
    runs, right = OpenRuns(), []
    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)  # another thread may go on wherever objects are made
    gc.callbacks.append(let_others_go_on)

    def deliver(who):
        for number in range(1000):
            uid = f"{who}-{number}"
            runs.take("start", {"uid": uid})
            right.append(runs.take("stop", {"run_start": uid}) == ({"run_start": uid}, ""))

    threads = [threading.Thread(target=deliver, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.callbacks.remove(let_others_go_on)
    sys.setswitchinterval(before[0])
    gc.set_threshold(*before[1])
    assert len(right) == 4 * 1000
    assert all(right)
    assert runs.uids == []
