import json
import subprocess
import sys

from reproduce import provenance as module
from reproduce.provenance import provenance, write_provenance


def git(folder, *arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_and_whether_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert module.commit() == "unknown"
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert module.commit() == head
    (tmp_path / "untracked").write_text("")
    assert module.commit() == head
    (tmp_path / "a").write_text("2")
    assert module.commit() == f"{head}-modified"


def test_what_is_written_reads_back_equal(tmp_path):
    record = provenance(seed=3, data={"gt": "Straße"}, config={"crops": 5})
    write_provenance(tmp_path / "sub" / "a.json", record)
    assert json.loads((tmp_path / "sub" / "a.json").read_text()) == record
    assert record["seed"] == 3
    assert record["versions"]["python"] == sys.version.split()[0]


def test_the_command_is_as_typed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/fig.py", "--gt", "a b"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert provenance(seed=0, data={}, config={})["command"] == "python fig.py --gt 'a b'"
