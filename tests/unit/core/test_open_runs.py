"""Runs of several RunEngines, whose documents come on threads of their own."""

import sys
import threading

from stxm_live.core.open_runs import OpenRuns


def test_documents_of_several_threads_keep_their_runs():
    runs, right = OpenRuns(), []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def deliver(who):
        for number in range(3000):
            uid = f"{who}-{number}"
            runs.take("start", {"uid": uid})
            right.append(runs.take("stop", {"run_start": uid}) == ({"run_start": uid}, ""))

    threads = [threading.Thread(target=deliver, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert len(right) == 4 * 3000
    assert all(right)
    assert runs.uids == []
