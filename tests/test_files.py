import os
import stat

import pytest

from distilroberta_np.files import (
    INCOMPLETE,
    atomic_write,
    locked,
    open_log,
    read_json,
    remove_leftovers,
    write_json,
    write_text,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    write_json(path, {"é": 1})
    assert path.read_bytes() == '{\n  "é": 1\n}\n'.encode()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a", []

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr("distilroberta_np.files.os.fsync", fsync)
    write_text(path, "text")
    assert synced == [(4, False)]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / f"b.1{INCOMPLETE}" / "model").mkdir(parents=True)
    for name in (f"a.1{INCOMPLETE}", f"a.2{INCOMPLETE}", "a"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", f"b.1{INCOMPLETE}"]
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_in_the_folder_are_replaced_and_never_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("config.json", "config.json.incomplete"):
        (folder / name).symlink_to(precious)
    write_text(folder / "config.json", "{}")
    assert precious.read_text() == "mine"
    assert (folder / "config.json").read_text() == "{}"
    assert not (folder / "config.json").is_symlink()


def test_a_name_that_is_taken_is_not_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr("distilroberta_np.files.os.urandom", lambda _: b"\0")
    (tmp_path / "a.00.incomplete").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "a", "text")
    assert not (tmp_path / "elsewhere").exists()


def test_the_permissions_are_the_users_usual_ones(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_json_that_is_not_a_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(KeyError, match="not a regular file"):
            read_json(path, KeyError)


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    pytest.importorskip("fcntl", reason="Windows has no such locks")
    for _ in range(2):
        with (
            locked(tmp_path, KeyError("held")),
            pytest.raises(KeyError, match="held"),
            locked(tmp_path, KeyError("held")),
        ):
            pass


def test_a_log_does_not_follow_a_link(tmp_path):
    with open_log(tmp_path / "log.csv") as log:
        log.write("1\n")
    with open_log(tmp_path / "log.csv") as log:
        log.write("2\n")
    assert (tmp_path / "log.csv").read_text() == "1\n2\n"
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        open_log(tmp_path / "link")
    assert (tmp_path / "mine").read_text() == "mine"
