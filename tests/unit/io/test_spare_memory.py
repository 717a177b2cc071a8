"""Memory for copies of images that is at hand before an image comes."""

import mmap
import threading

import numpy as np
import pytest

from stxm_live.io.documents import copied, copies, spare_memory, with_arrays
from stxm_live.io.documents.spare_memory import SpareMemory


@pytest.fixture
def spare(monkeypatch):
    """Memory of two pieces for small arrays, fetched at once."""
    monkeypatch.setattr(spare_memory, "SMALLEST_BYTES", 8)
    monkeypatch.setattr(spare_memory, "MOST_BYTES", 4096)
    monkeypatch.setattr(spare_memory, "_AT_FIRST", ((1024, 2),))
    memory = SpareMemory()
    memory.begin()
    fetched(memory)
    monkeypatch.setattr(copies, "SPARE", memory)
    return memory


def fetched(memory):
    """Wait until everything asked for is there."""
    reached = threading.Event()
    handle = memory._worker._handle
    memory._worker._handle = lambda item: reached.set() if item is None else handle(item)
    memory._worker.submit(None)
    assert reached.wait(60)
    memory._worker._handle = handle


@pytest.mark.parametrize(
    "image",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 2, 0),
        np.arange(16.0)[::2],
        np.broadcast_to(np.float32(3), (4, 5)),
    ],
)
def test_an_image_is_copied_into_memory_that_is_at_hand(spare, image):
    expected = image.copy()
    original = image.copy("K")
    copy = copied("event", {"data": {"counts": original}}).doc
    assert copy["data"]["counts"].base is not None
    original[...] = 0
    kept = with_arrays("event", copy)["data"]["counts"]
    np.testing.assert_array_equal(kept, expected)
    assert kept.dtype == image.dtype
    assert kept.base is None or kept.base.nbytes == kept.nbytes


def test_a_piece_larger_than_the_image_counts_whole_and_is_given_back(spare):
    copy = copied("event", {"data": {"counts": np.ones(4)}})
    assert copy.n_bytes >= 1024
    kept = with_arrays("event", copy.doc)["data"]["counts"]
    assert kept.flags.owndata


def test_pieces_of_the_size_of_the_last_image_are_fetched(spare):
    for _ in range(3):
        copied("event", {"data": {"counts": np.ones(100)}})
        fetched(spare)
    copies_at_hand = [spare.like(np.ones(100)) for _ in range(3)]
    assert [copy.base.nbytes for copy in copies_at_hand] == [800] * 3


def test_no_more_is_kept_than_the_limit(spare):
    for n in (100, 200, 300, 512, 10_000, 10**15):
        spare.like(np.broadcast_to(np.uint8(0), n))
        fetched(spare)
        assert sum(piece.nbytes for piece in spare._pieces) <= 4096


def test_without_memory_at_hand_an_image_is_copied_all_the_same(spare):
    with spare._lock:  # another thread fetches
        copy = copied("event", {"data": {"counts": np.ones(4)}})
    assert copy.doc["data"]["counts"].base.nbytes == 32
    np.testing.assert_array_equal(copy.doc["data"]["counts"], np.ones(4))


@pytest.mark.skipif(not hasattr(mmap, "MADV_NOHUGEPAGE"), reason="of Linux")
def test_images_that_come_faster_than_memory_is_fetched_get_it_in_small_pages(spare, monkeypatch):
    asked = []

    class Memory(mmap.mmap):
        def madvise(self, advice):
            asked.append(advice)

    monkeypatch.setattr(spare_memory.mmap, "mmap", Memory)
    images = [np.full(100, k) for k in range(5)]
    taken = [copied("event", {"data": {"counts": image}}).doc["data"]["counts"] for image in images]
    assert asked.count(spare_memory._POPULATE_WRITE) == 3  # two pieces were at hand
    assert asked.count(mmap.MADV_NOHUGEPAGE) >= 3
    np.testing.assert_array_equal(taken, images)


def test_an_image_for_which_there_is_no_memory_is_left_out(spare, monkeypatch):
    def none(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(spare_memory.mmap, "mmap", none)
    copy = copied("event", {"data": {"counts": np.ones(500), "energy": 1.0}})
    assert copy.doc["data"] == {"counts": None, "energy": 1.0}
    assert copy.has_no_room
