import os
from pathlib import Path

import pytest

from panoptic_eval.files import check_place, leftovers, read_regular, write_atomically


def test_what_is_written_is_read_up_to_the_limit(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes; 4 are the most"):
        read_regular(path, 4)
    (tmp_path / "link").symlink_to(path)
    assert read_regular(tmp_path / "link", 5) == b"12345"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_place_is_tried_without_a_trace(tmp_path):
    check_place(tmp_path / "file")
    check_place(tmp_path / "new/below/file")
    assert not list(tmp_path.iterdir())
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        check_place(tmp_path / "loop/file")


def test_an_error_names_the_file_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (
        tmp_path / "folder",
        Path("/proc/nothing"),
        tmp_path / "file" / "x",
        tmp_path / "file" / "below" / "x",
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            write_atomically(path, b"x")
        assert caught.value.filename == str(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_text_that_no_file_holds_is_escaped(tmp_path):
    write_atomically(tmp_path / "file", "a\udcffé")
    assert (tmp_path / "file").read_bytes() == rb"a\udcff" + "é".encode()


def test_leftovers_are_the_temporary_files_of_these_names_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *_: os._exit(1))  # as a kill
    for name in ("a.json", "b.json"):
        if (child := os.fork()) == 0:
            write_atomically(tmp_path / name, "half")
        os.waitpid(child, 0)
    for name in ("a.json", ".a.json", ".a.json.swp", ".axjson.abcdefgh"):
        (tmp_path / name).write_text("mine")
    assert len([*tmp_path.iterdir()]) == 6
    (left,) = leftovers(tmp_path, ["a.json"])
    assert left.read_text() == "half"
    assert left.name.startswith(".a.json.")
    assert {path.read_text() for path in leftovers(tmp_path, ["*.json"])} == {"half"}
    assert len(leftovers(tmp_path, ["*.json"])) == 2
    assert leftovers(tmp_path / "nowhere", ["a.json"]) == []


def test_a_file_whose_size_is_not_known_is_read_to_its_end():
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("there is no /proc here")
    assert b"VmPeak" in read_regular(path, 1 << 20)
    with pytest.raises(OSError, match="grows beyond"):
        read_regular(path, 10)


def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="no regular file"):
            read_regular(path, 100)
