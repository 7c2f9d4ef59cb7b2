"""Training on a device: on a stand-in for CuPy's arrays everywhere, and on CuPy where there is a GPU."""

import csv
import os
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from distilroberta_np import RobertaConfig, RobertaForMaskedLM, TrainingError
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.kernels import BLOCK, blocks, spans
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.training import device, loop
from distilroberta_np.training.optim.adamw import adamw, clip, start
from distilroberta_np.training.optim.muon import muon
from distilroberta_np.training.pretrain import pretrain
from distilroberta_np.training.settings import DistillSettings, PretrainSettings
from distilroberta_np.training.student import distillation_gradients, first_student
from tests.support import gradient_cases
from tests.support.dispatch import DeviceArray, put
from tests.support.gradient_cases import MASKED, SHAPE, TEXTS
from tests.support.gradients import Repeated
from tests.support.seeded import config_dict, seeded_tensors

SETTINGS = PretrainSettings(
    vocab_size=280,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    length=32,
    last_length=32,
    decay=2,
    batch_tokens=300,
    updates=4,
    warmup=1,
)


class RepeatedThere(Repeated):
    """The same numbers, drawn on the device."""

    def __init__(self, put):
        self._put = put

    def random(self, shape, dtype):
        return self._put(super().random(shape, dtype))


def cupy_or_skip():
    """CuPy, if it and a GPU are available."""
    cupy = pytest.importorskip("cupy", reason="needs the cuda extra: pip install 'distilroberta-np[cuda]'")
    try:
        cupy.ones(2).sum().item()
    except Exception as error:
        pytest.skip(f"no GPU: {error}")
    return cupy


@pytest.fixture(params=["stand-in", "cupy"])
def put_there(request):
    """A function that copies an array to the device."""
    return put if request.param == "stand-in" else cupy_or_skip().asarray


def model(seed=0, layers=2):
    shape = SHAPE | {"num_hidden_layers": layers}
    config, tensors = RobertaConfig.from_dict(config_dict(**shape)), seeded_tensors(seed, **shape)
    return config, tree_map(lambda key: tensors[key.name].astype(np.float64), masked_lm_keys(config))


def assert_same(there, here):
    for ours, expected in zip(tree_leaves(there), tree_leaves(here), strict=True):
        assert not isinstance(ours, np.ndarray)
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours.get(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("case", gradient_cases.CASES)
def test_gradients_of_tasks_are_the_hosts(put_there, case, rate):
    gradients_of, keys, labels, count, problem_type, _ = gradient_cases.CASES[case]
    config, weights = gradient_cases.model(keys, count, problem_type, np.float64)
    here, there = Dropout(rate, Repeated()), Dropout(rate, RepeatedThere(put_there))
    loss, gradients = gradients_of(TEXTS, labels, weights, config, here)
    ours, found = gradients_of(TEXTS, labels, tree_map(put_there, weights), config, there)
    assert ours == pytest.approx(loss, rel=1e-12)
    assert_same(found, gradients)


@pytest.mark.parametrize("restrict", [False, True])
def test_gradients_of_distillation_are_the_hosts(put_there, restrict):
    teacher_config, teacher_weights = model(1, layers=4)
    config, _ = model()
    settings = DistillSettings(teacher="", restrict_ce_to_mask=restrict)

    def run(teacher_weights):
        teacher, weights = RobertaForMaskedLM(teacher_config, teacher_weights), first_student(teacher_weights, 2)
        return distillation_gradients(TEXTS, MASKED, weights, config, teacher, settings)

    loss, gradients = run(teacher_weights)
    ours, found = run(tree_map(put_there, teacher_weights))
    assert ours == pytest.approx(loss, rel=1e-12)
    assert_same(found, gradients)


@pytest.mark.parametrize("optimize", [adamw, muon])
def test_updates_are_the_hosts(put_there, optimize):
    _, here = model()
    _, gradients = model(1)
    there, their_gradients = tree_map(put_there, here), tree_map(put_there, gradients)
    state, their_state = start(here), start(there)
    for _ in range(3):
        assert clip(their_gradients, 2.0) == pytest.approx(clip(gradients, 2.0), rel=1e-12)
        state = optimize(here, gradients, state, 0.01, 0.1)
        their_state = optimize(there, their_gradients, their_state, 0.01, 0.1)
    assert_same((there, their_state.mean, their_state.square), (here, state.mean, state.square))


@pytest.fixture(autouse=True)
def no_picture(monkeypatch):
    """Drawing takes longer than these runs."""
    monkeypatch.setattr(loop, "draw_losses", lambda path: None)


@pytest.fixture
def files(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"The {a} saw the {b}.\n" for a in "abcdef" for b in "ghijklmn"), encoding="utf-8")
    return [path]


def checkpoint(run):
    return list(tree_leaves(RobertaForMaskedLM.from_pretrained(run / "checkpoint").weights))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_on_a_device_learns_what_it_learns_on_the_host(standin, files, tmp_path, optimizer):
    settings = replace(SETTINGS, optimizer=optimizer, length=16, last_updates=2)
    assert pretrain(tmp_path / "here", files, settings)
    assert pretrain(tmp_path / "there", files, settings, device="cuda")
    for ours, expected in zip(checkpoint(tmp_path / "there"), checkpoint(tmp_path / "here"), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_a_run_on_a_device_resumes_to_the_bit(standin, files, tmp_path):
    settings = replace(SETTINGS, dropout=0.1)

    def stop(report):
        if report.update == 2:
            os.kill(os.getpid(), signal.SIGINT)

    assert not pretrain(tmp_path / "run", files, settings, device="cuda", report=stop)
    assert pretrain(tmp_path / "run", files, settings, device="cuda")
    assert pretrain(tmp_path / "at_once", files, settings, device="cuda")
    for ours, expected in zip(checkpoint(tmp_path / "run"), checkpoint(tmp_path / "at_once"), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_run_on_a_gpu(files, tmp_path):
    cupy_or_skip()
    assert pretrain(tmp_path / "here", files, SETTINGS)
    assert pretrain(tmp_path / "there", files, SETTINGS, device="cuda")

    def losses(run):
        with open(run / "losses.csv", newline="") as file:
            return [float(row["loss"]) for row in csv.DictReader(file)]

    assert losses(tmp_path / "there") == pytest.approx(losses(tmp_path / "here"), abs=1e-3)
    assert pretrain(tmp_path / "dropout", files, replace(SETTINGS, dropout=0.1), device="cuda")


def test_large_arrays_on_a_device_are_not_split():
    large = put(np.zeros((4, BLOCK)))
    assert [large[span].shape for span in spans(large)] == [large.shape]
    assert [part.shape for (part,) in blocks(large)] == [large.shape]


def test_trees_go_there_and_back(standin):
    tree = (np.ones(2), (np.zeros(3), None))
    there = device.to_device(tree, "cuda")
    assert all(isinstance(leaf, DeviceArray) for leaf in tree_leaves(there))
    for ours, expected in zip(tree_leaves(device.to_host(there)), tree_leaves(tree), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert device.to_device(tree, "cpu") is tree
    assert isinstance(device.rng_for("cuda", [1, 2]).random((2,)), DeviceArray)


def test_an_unknown_device_is_named():
    with pytest.raises(TrainingError, match="device must be cpu or cuda, not 'gpu'"):
        device.to_device((), "gpu")


def test_without_cupy_it_says_what_to_install(monkeypatch, files, tmp_path):
    device._cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(TrainingError, match=r"needs CuPy: pip install 'distilroberta-np\[cuda\]'"):
        pretrain(tmp_path / "run", files, SETTINGS, device="cuda")
    assert not (tmp_path / "run").exists()  # said before anything is begun


def test_without_a_gpu_it_says_so(monkeypatch):
    def fail(*arguments):
        raise RuntimeError("cudaErrorInsufficientDriver")

    device._cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(ones=fail))
    with pytest.raises(TrainingError, match=r"cannot be used: cudaErrorInsufficientDriver\. CuPy needs an"):
        device.to_device((np.ones(1),), "cuda")
