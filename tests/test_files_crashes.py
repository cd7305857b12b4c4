"""FileStore after kills and forks, and on full and read-only disks."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import StoreError
from mailoauth.tokens.files import FileStore
from tests.store_contract import ONE
from tests.store_processes import holder, names, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has neither modes nor fork")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "records")


# Crashes


@posix_only
def test_a_kill_at_any_moment_leaves_a_whole_record_and_nothing_else(store: FileStore) -> None:
    output = run(
        store,
        """
        def record(number):
            return b"%06d" % number + bytes([number % 256]) * number

        def save_for_ever(pipe):
            number = random.randrange(20_000)
            while True:
                if number % 2:
                    store.save(ONE, record(number))
                else:
                    with store.lock(ONE), store.reserve(ONE, 20_000):
                        store.save(ONE, record(number))
                os.write(pipe, b"x")
                number = random.randrange(20_000)

        most = 0
        store.save(ONE, record(100))
        for _ in range(50):
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                save_for_ever(writer)
            os.close(writer)
            os.read(reader, 1)
            time.sleep(random.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            data = store.load(ONE)
            assert data == record(int(data[:6])), data[:6]
            most = max(most, len(list(store.folder.glob("*.tmp"))))
        with store.lock(ONE):
            pass
        print(most, len(list(store.folder.glob("*.tmp"))), len(list(store.folder.glob("*.record"))))
        """,
    )
    most, left, records = map(int, output.split())
    # A child cleans up what its forerunners left whenever it takes the lock.
    assert most < 15
    assert (left, records) == (0, 1)


# Full and read-only disks


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system, on Linux")
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this container may not mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    written = 4096
    with suppress(OSError), (folder / "ballast").open("wb", 0) as ballast:
        while written:
            written = ballast.write(bytes(4096))


def test_a_full_disk_cannot_lose_a_reply_for_which_room_was_reserved(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=512k"):
        store = FileStore(tmp_path / "disk" / "records")
        with store.lock(ONE), store.reserve(ONE, 9000):
            fill(tmp_path / "disk")
            store.save(ONE, b"r" * 9000)
        assert store.load(ONE) == b"r" * 9000


def test_a_full_disk_keeps_the_old_record_and_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=512k"):
        store = FileStore(tmp_path / "disk" / "records")
        store.save(ONE, b"old")
        fill(tmp_path / "disk")
        with pytest.raises(StoreError, match=r"No space left.*Free some space"):
            store.save(ONE, b"n" * 9000)
        with (
            pytest.raises(StoreError, match="No space left"),
            store.reserve(ONE, 9000),
        ):
            pytest.fail("there was no room")
        assert store.load(ONE) == b"old"
        assert names(store, ".tmp") == []


@posix_only
def test_a_quota_keeps_the_old_record_and_says_so(store: FileStore) -> None:
    output = run(
        store,
        """
        import resource
        store.save(ONE, b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        for attempt in ("save", "reserve"):
            try:
                if attempt == "save":
                    store.save(ONE, b"n" * 9000)
                else:
                    store.reserve(ONE, 9000).__enter__()
            except StoreError as error:
                print("Free some space" in str(error))
        print(store.load(ONE), len(list(store.folder.glob("*.tmp"))))
        """,
    )
    assert output.split("\n") == ["True", "True", "b'old' 0"]


@posix_only
def test_a_folder_that_cannot_be_written_is_a_store_error_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if os.geteuid() == 0:  # whom modes do not stop
        with mounted(folder, "ro"), pytest.raises(StoreError, match="Read-only file system"):
            FileStore(folder).save(ONE, b"1")
    else:
        folder.mkdir(mode=0o500)
        with pytest.raises(StoreError, match="Permission denied"):
            FileStore(folder).save(ONE, b"1")


def test_a_file_where_the_folder_should_be_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")
    store = FileStore(tmp_path / "records")
    with pytest.raises(StoreError, match="records"):
        store.save(ONE, b"1")
    with pytest.raises(StoreError, match="records"):
        store.load(ONE)
    with pytest.raises(StoreError, match="records"):
        store.list()
    with pytest.raises(StoreError, match="records"), store.reserve(ONE, 10):
        pass


# Forks


@posix_only
def test_a_forked_child_neither_has_nor_frees_its_parents_lock(store: FileStore) -> None:
    output = run(
        store,
        """
        def forked(action):
            child = os.fork()
            if not child:
                try:
                    action()
                except ConnectionTimedOut:
                    os._exit(7)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(8)
                os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        def take():
            store.lock(ONE, timeout=0.1).__enter__()

        held, room = store.lock(ONE), store.reserve(ONE, 5000)
        held.__enter__()
        room.__enter__()

        def leave():
            room.__exit__(None, None, None)
            held.__exit__(None, None, None)
            store.save(TWO, b"of the child")

        print(forked(take), forked(leave), forked(take))
        store.save(ONE, b"of the parent")
        held.__exit__(None, None, None)
        print(forked(take), store.load(ONE), store.load(TWO), len(list(store.folder.glob("*.tmp"))))
        """,
    )
    assert output.split("\n") == ["7 0 7", "0 b'of the parent' b'of the child' 0"]


@posix_only
def test_a_child_that_outlives_its_parent_does_not_keep_the_parents_lock(store: FileStore) -> None:
    fork_and_hold = """
        with store.lock(ONE), store.reserve(ONE, 5000):
            if os.fork():
                print("ready", flush=True)
            sys.stdin.read()
    """
    with holder(store, fork_and_hold) as process:
        process.kill()
        process.wait()
        # The child is still there: it reads from the pipe that this process has not closed.
        with store.lock(ONE, timeout=5):
            assert names(store, ".tmp") == []


@posix_only
def test_a_lock_that_a_thread_held_at_the_fork_is_free_in_the_child(store: FileStore) -> None:
    output = run(
        store,
        """
        memory, taken, go = MemoryStore(), threading.Event(), threading.Event()
        def hold():
            with memory.lock(ONE), store.lock(ONE):
                taken.set()
                go.wait()
        holder = threading.Thread(target=hold)
        holder.start()
        taken.wait()
        child = os.fork()
        if not child:
            with memory.lock(ONE, timeout=1):
                os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        go.set()
        holder.join()
        """,
    )
    assert output == "0"
