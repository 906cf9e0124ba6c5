import pytest
import torch
from safetensors.torch import save_file

from model.body.hrnet import HRNet
from model.body.resnet import ResNet
from model.config import HRNetConfig, ResNetConfig
from model.weights import WeightsError, load_body_weights

TINY = HRNetConfig(stem=4, bottleneck=2, bottlenecks=1, width=2, modules=(1, 1, 1), blocks=1)


def stored(seed=0):
    """What a classification network's file holds: the body and a head."""
    generator = torch.Generator().manual_seed(seed)
    state = HRNet(TINY).state_dict()
    state = {k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v for k, v in state.items()}
    return state | {"classifier.weight": torch.ones(5, 4), "incre_modules.0.conv1.weight": torch.ones(2)}


@pytest.mark.parametrize("form", ["safetensors", "pth", "pth under state_dict", "pth of DataParallel"])
def test_a_file_of_any_form_loads_and_is_reported(tmp_path, form):
    state = stored()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "pth":
        torch.save(state, path)
    elif form == "pth under state_dict":
        torch.save({"state_dict": state}, path)
    else:
        torch.save({f"module.{k}": v for k, v in state.items()}, path)
    body = HRNet(TINY)
    report = load_body_weights(body, path)
    assert all(torch.equal(tensor, state[name]) for name, tensor in body.state_dict().items())
    assert set(report.matched) == set(body.state_dict())
    assert report.missing == ()
    assert set(report.unexpected) == {"classifier.weight", "incre_modules.0.conv1.weight"}
    assert "2 not used: of classifier, incre_modules" in str(report)


def test_what_a_file_lacks_is_named_and_left_as_it_was(tmp_path):
    state = stored()
    del state["conv1.weight"]
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}  # old files have none
    save_file(state, tmp_path / "w.safetensors")
    body = HRNet(TINY)
    before = body.conv1.weight.clone()
    report = load_body_weights(body, tmp_path / "w.safetensors")
    assert report.missing == ("conv1.weight",)
    assert torch.equal(body.conv1.weight, before)
    assert "1 missing, left as drawn: of conv1" in str(report)


def test_bad_files_are_named_with_what_is_wrong(tmp_path):
    def fails(path, message, body=None):
        with pytest.raises(WeightsError, match=message) as error:
            load_body_weights(body or HRNet(TINY), path)
        assert str(path) in str(error.value)

    good = tmp_path / "w.safetensors"
    save_file(stored(), good)
    fails(good, "conv1.weight is 4x3x3x3, this body's is 8x3x3x3", HRNet(HRNetConfig(stem=8, width=2)))
    fails(tmp_path / "absent.pth", "cannot be read")

    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(good.read_bytes()[:-100])
    fails(truncated, "cannot be read")

    broken = stored()
    broken["bn1.bias"][0] = float("nan")
    torch.save(broken, tmp_path / "nan.pth")
    fails(tmp_path / "nan.pth", "bn1.bias holds values that are not finite")

    torch.save({"other": torch.ones(1)}, tmp_path / "other.pth")
    fails(tmp_path / "other.pth", "no tensor has a name of this body's; it holds other", ResNet(ResNetConfig(width=4)))
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    fails(tmp_path / "list.pth", "must hold a dictionary of tensors")


class Code:
    def __reduce__(self):
        return print, ("code ran",)


def test_a_file_cannot_run_code(tmp_path, capsys):
    torch.save({"conv1.weight": Code()}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_body_weights(HRNet(TINY), tmp_path / "code.pth")
    assert "code ran" not in capsys.readouterr().out
