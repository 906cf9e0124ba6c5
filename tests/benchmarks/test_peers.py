import json

from benchmarks import peers


def measured(seconds, commit):
    run = {"whole": 2 * seconds, "seconds": seconds, "cpu": seconds, "peak_mib": 9, "ready": 0.1, "scores": {"PQ": 0.5}}
    return {"about": {"commit": commit, "time": "now"}, "rounds": [{"ours": run, "hotcoco": {**run, "seconds": 1.0}}]}


def test_parts_that_were_measured_before_stay_on_the_page(tmp_path):
    results = {("mvd", "PQ"): measured(0.5, "a"), ("mvd", "AP"): measured(0.25, "b"), ("small", "AP"): measured(2, "b")}
    entries = [{"data": name, "work": work, **result} for (name, work), result in results.items()]
    (tmp_path / "peers.json").write_text(json.dumps(entries))
    assert peers.read(tmp_path / "peers.json") == results
    page = peers.markdown(results)
    assert "| mvd | PQ | hotcoco | 1 (1–1) | 1 (1–1) | 1 (1–1) | 2 (2–2) | 0.5 | 9 | 0.10 | differ by 0e+00 |" in page
    assert page.endswith("mvd: PQ (now)\n\n- commit: a\n\nmvd: AP (now); small: AP (now)\n\n- commit: b\n")
