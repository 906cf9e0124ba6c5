import json
import sys

from reproduce.provenance import provenance, write_provenance


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
