"""A folder of results is replaced as a whole, whatever ends the process and whenever."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from analytic_dd import staging
from analytic_dd.errors import DataError
from analytic_dd.staging import locked, settle, staged


def content(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_staged_files_arrive_together_or_not_at_all(tmp_path):
    with staged(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "out" / "a").exists()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a"]

    def interrupted(target):
        with staged(target) as folder:
            (folder / "a").write_text("2")
            raise KeyboardInterrupt

    for target in ("out", "new"):
        with pytest.raises(KeyboardInterrupt):
            interrupted(tmp_path / target)
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_picture_of_what_is_replaced_goes_with_it(tmp_path):
    for name in ("a", "picture", "notes"):
        (tmp_path / name).write_text("old")

    def write(*, fail):
        with staged(tmp_path, without=["picture", "never there"]) as folder:
            (folder / "a").write_text("new")
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(fail=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "notes", "picture"]
    write(fail=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "notes"]


@pytest.mark.parametrize("name", ["a", "picture"])
def test_a_folder_in_the_way_of_a_file_is_refused_before_any_work(tmp_path, name):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(IsADirectoryError, match=f"cannot write .*{name}: is a directory"),
        staged(tmp_path, files=["a"], without=["picture"]),
    ):
        raise AssertionError("the block ran")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_that_comes_meanwhile_leaves_the_old_files(tmp_path):
    (tmp_path / "a").write_text("old")

    def write():
        with staged(tmp_path) as folder:
            for name in "ab":
                (folder / name).write_text("new")
            (tmp_path / "b").mkdir()

    with pytest.raises(IsADirectoryError, match="b: is a directory"):
        write()
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_folders_that_were_made_for_it_go_when_it_fails(tmp_path):
    def fail():
        with staged(tmp_path / "some" / "new" / "folder"):
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_work_in_one_folder_the_second_is_told_of_the_first(tmp_path):
    with staged(tmp_path) as folder:
        (folder / "a").write_text("first")
        with (
            pytest.raises(DataError, match=f"process {os.getpid()} on .* is writing to {tmp_path}; wait"),
            staged(tmp_path),
        ):
            raise AssertionError("the block ran")
    assert content(tmp_path) == {"a": "first"}


def test_a_lock_of_a_process_that_ended_is_no_lock(tmp_path):
    (tmp_path / ".analytic-dd.lock").write_text("process 1 on another machine")
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_threads_take_turns(tmp_path):
    """A lock file is removed by its owner: one that opened it before must not hold what is gone."""
    inside, most, done = [0], [0], []

    def work():
        for _ in range(300):
            try:
                with locked(tmp_path):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
                    done.append(1)
            except DataError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert done


# A child that ends at its n-th change of the file system, by a signal or as if the machine had stopped.
CHILD = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from analytic_dd.staging import staged

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does
    folder, kind, pairs = Path(sys.argv[1]), getattr(signal, sys.argv[2]), [int(n) for n in sys.argv[3].split(",")]

    def run(point):
        steps = 0

        def counted(function):
            def call(*arguments, **options):
                nonlocal steps
                steps += 1
                if steps == point:
                    os.kill(os.getpid(), kind)
                return function(*arguments, **options)
            return call

        for name in ("mkdir", "replace", "unlink", "rmdir", "rename"):
            setattr(os, name, counted(getattr(os, name)))
        with staged(folder / str(point), files=["a", "b", "c"], without=["picture"]) as place:
            for name in "abc":
                (place / name).write_text("new")

    for point in pairs:
        if os.fork() == 0:
            try:
                run(point)
            except KeyboardInterrupt:
                os._exit(3)
            os._exit(0)
        _, status = os.wait()
        print(point, os.waitstatus_to_exitcode(status))
    """
)
OLD, NEW = dict.fromkeys((*"abc", "picture"), "old"), dict.fromkeys("abc", "new")


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_whatever_ends_a_run_at_whatever_point_no_file_lies_beside_those_of_another_run(tmp_path, kind):
    points = range(1, 30)
    for point in points:
        (tmp_path / str(point)).mkdir()
        for name, text in OLD.items():
            (tmp_path / str(point) / name).write_text(text)
        (tmp_path / str(point) / "notes").write_text("mine")
    command = [sys.executable, "-c", CHILD, tmp_path, kind, ",".join(map(str, points))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status = dict(tuple(map(int, line.split())) for line in done.stdout.splitlines())
    stopped = [point for point in points if status[point] != 0]
    assert len(stopped) >= 10  # every change of the file system, and then no more
    assert stopped == list(range(1, len(stopped) + 1))
    seen = set()
    for point in points:
        folder = tmp_path / str(point)
        found = {name: text for name, text in content_of_files(folder).items() if not name.startswith(".")}
        assert found.pop("notes") == "mine"
        assert len(set(found.values())) <= 1, (point, found)
        settle(folder)
        found = content_of_files(folder)
        assert {name: found[name] for name in found if name[0] != "."} in (
            OLD | {"notes": "mine"},
            NEW | {"notes": "mine"},
        )
        seen.add(found["a"])
        if kind != "SIGKILL":
            assert not any(name.startswith(".") for name in os.listdir(folder)), point
        with staged(folder) as place:  # the next run removes what was left
            (place / "a").write_text("next")
        assert not any(name.startswith(".") for name in os.listdir(folder)), point
    assert seen == {"old", "new"}


def content_of_files(folder):
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_an_interrupt_just_after_the_folder_is_made_leaves_none(tmp_path, monkeypatch):
    made = staging._made

    def interrupted(folder):
        made(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(staging, "_made", interrupted)
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()
