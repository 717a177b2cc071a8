"""Files of Linux that say how much memory is left."""

import pytest

from stxm_live.core.machine_memory import largest_stack_bytes

GIB = 2**30


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_on_a_large_machine_and_on_one_that_does_not_say_it_is_8_gib(tmp_path):
    assert largest_stack_bytes(tmp_path) == 8 * GIB
    write(tmp_path, proc__meminfo=f"MemTotal: 9 kB\nMemAvailable:  {64 * GIB // 1024} kB\n")
    assert largest_stack_bytes(tmp_path) == 8 * GIB


def test_it_is_half_of_the_memory_that_is_available(tmp_path):
    write(tmp_path, proc__meminfo=f"MemTotal: 9 kB\nMemAvailable:  {4 * GIB // 1024} kB\n")
    assert largest_stack_bytes(tmp_path) == 2 * GIB


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/a/b", "sys/fs/cgroup/a", "memory.max", "memory.current"),
        ("0::/not/here", "sys/fs/cgroup", "memory.max", "memory.current"),
        (
            "7:memory:/a",
            "sys/fs/cgroup/memory/a",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
    ],
)
def test_a_limit_of_a_container_or_a_service_counts_too(tmp_path, line, folder, limit, used):
    write(
        tmp_path,
        proc__self__cgroup=f"8:pids:/x\n{line}\n",
        proc__meminfo="MemAvailable: 9000000 kB",
    )
    group = tmp_path / folder
    group.mkdir(parents=True)
    (group / limit).write_text(f"{3 * GIB}\n")
    (group / used).write_text(f"{2 * GIB}\n")
    (group / "memory.stat").write_text(
        f"anon 5\ninactive_file {GIB}\n"
    )  # files, given back at once
    assert largest_stack_bytes(tmp_path) == GIB
    (group / limit).write_text("max\n")
    assert largest_stack_bytes(tmp_path) > 4 * GIB


def test_of_this_machine_something_is_left():
    assert 0 < largest_stack_bytes() <= 8 * GIB
