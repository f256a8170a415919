"""Whatever happens while a file is written, its path holds the old file or the new one."""

import errno
import os
import stat
import threading

import pytest

from minigan.core.errors import OutputPathError
from minigan.files import atomic_write, check_writable, ensure_folder, remove_leftovers


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_with_the_content_and_no_temporary_remains(tmp_path):
    with atomic_write(tmp_path / "a.bin") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".bin"
        assert not (tmp_path / "a.bin").exists()
        temporary.write_bytes(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.bin"]


def test_text_paths_and_relative_paths_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_write("a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def fail_halfway():
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"half of the n")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


def test_the_old_file_is_whole_until_the_block_ends(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_bytes_are_on_the_disk_before_the_name_and_the_name_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(source, target):
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    with atomic_write(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"new")
    assert calls == ["file", "rename", "folder"]


def test_writers_at_the_same_time_do_not_meet(tmp_path):
    target = tmp_path / "a.bin"
    contents = [bytes([i]) * 100_000 for i in range(8)]

    def write(content):
        with atomic_write(target) as temporary:
            temporary.write_bytes(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")
class TestPosix:
    def test_a_new_file_has_the_permissions_of_any_new_file(self, tmp_path):
        (tmp_path / "usual").touch()
        with atomic_write(tmp_path / "a") as temporary:
            temporary.write_bytes(b"new")
        assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode

    def test_a_replaced_file_keeps_its_permissions(self, tmp_path):
        target = tmp_path / "a"
        target.touch()
        target.chmod(0o640)
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"new")
        assert stat.S_IMODE(target.stat().st_mode) == 0o640

    def test_a_link_stays_one_and_what_it_points_to_is_replaced(self, tmp_path):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "a").write_bytes(b"old")
        (tmp_path / "latest").symlink_to(tmp_path / "runs" / "a")
        with atomic_write(tmp_path / "latest") as temporary:
            temporary.write_bytes(b"new")
        assert (tmp_path / "latest").is_symlink()
        assert (tmp_path / "runs" / "a").read_bytes() == b"new"

    def test_a_pipe_is_not_replaced(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OutputPathError, match="pipe: it is a device or a pipe"):
            check_writable(tmp_path / "pipe")
        assert names_in(tmp_path) == ["pipe"]

    def test_a_read_only_file_is_not_replaced(self, tmp_path, monkeypatch):
        (tmp_path / "a").touch(mode=0o444)
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
        with pytest.raises(OutputPathError, match="a: the file is there and is read-only"):
            check_writable(tmp_path / "a")


def enter_atomic_write(path):
    with atomic_write(path):
        pytest.fail("the block must not run")


def refusal(write, path):
    """The message of the OutputPathError that `write(path)` raises."""
    with pytest.raises(OutputPathError) as caught:
        write(path)
    return str(caught.value)


@pytest.mark.parametrize("write", [enter_atomic_write, check_writable])
class TestBadPaths:
    def test_a_folder(self, tmp_path, write):
        assert refusal(write, tmp_path) == (
            f"cannot write {tmp_path}: it is a folder, and a file name is needed"
        )

    def test_a_missing_folder(self, tmp_path, write):
        message = refusal(write, tmp_path / "none" / "a")
        assert message.endswith(f"the folder {tmp_path / 'none'} does not exist")

    def test_a_file_in_place_of_the_folder(self, tmp_path, write):
        (tmp_path / "file").touch()
        assert "file/a: Not a directory" in refusal(write, tmp_path / "file" / "a")

    def test_a_name_too_long(self, tmp_path, write):
        assert "File name too long" in refusal(write, tmp_path / ("a" * 300))
        assert names_in(tmp_path) == []

    def test_a_folder_that_cannot_be_written_to(self, tmp_path, write, monkeypatch):
        def refuse(*args):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)  # chmod would not stop root
        message = refusal(write, tmp_path / "a")
        assert message == f"cannot write in the folder {tmp_path}: Permission denied"


def test_a_full_disk_is_told_in_one_sentence_and_the_old_file_stays(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(OutputPathError) as caught, atomic_write(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == f"cannot write {target}: No space left on device"
    assert target.read_bytes() == b"old"


def test_an_error_about_another_file_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()


def test_a_failing_rename_is_an_output_path_error(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputPathError, match="a: Permission denied"), atomic_write(tmp_path / "a"):
        pass
    assert names_in(tmp_path) == []


def test_check_writable_leaves_no_trace(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    check_writable(tmp_path / "new")
    check_writable(tmp_path / "old")
    assert names_in(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_ensure_folder_creates_parents_and_takes_what_is_there(tmp_path):
    folder = ensure_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert folder.is_dir()
    assert ensure_folder(str(folder)) == folder
    assert names_in(folder) == []


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_ensure_folder_meets_a_file(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputPathError, match="a file stands where a folder is needed"):
        ensure_folder(tmp_path / path)


def test_ensure_folder_finds_out_that_it_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputPathError, match="Read-only file system"):
        ensure_folder(tmp_path)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    left = tmp_path / ".minigan-0123456789abcdef.safetensors"
    for path in (left, tmp_path / ".minigan-mine.txt", tmp_path / "a.bin"):
        path.write_bytes(b"x")
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert names_in(tmp_path) == [".minigan-mine.txt", "a.bin"]
