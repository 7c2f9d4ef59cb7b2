import copy
import json
import os
import pickle

import numpy as np
import pytest

from distilroberta_np import CheckpointError, RobertaForMaskedLM, RobertaModel
from distilroberta_np.layers.params import tree_leaves
from tests.support.seeded import safetensors_bytes, seeded_tensors, write_json, write_model

IDS = [[0, 5, 40, 7, 2]]
INDEX = "model.safetensors.index.json"
QUERY = "roberta.encoder.layer.1.attention.self.query.weight"
WORDS = "roberta.embeddings.word_embeddings.weight"


@pytest.fixture
def tensors():
    return seeded_tensors()


def load_both(folder):
    return RobertaForMaskedLM.from_pretrained(folder), RobertaModel.from_pretrained(folder)


def refused(folder, message, tensors=None, **arguments):
    """Both kinds of model refuse a checkpoint, in words that name its folder."""
    if tensors is not None:
        write_model(folder, tensors, **arguments)
    for kind in (RobertaForMaskedLM, RobertaModel):
        with pytest.raises(CheckpointError, match=message) as caught:
            kind.from_pretrained(folder)
        assert str(folder) in str(caught.value)


# -- what can be loaded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [0, 1, 3, 40])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_every_stored_form_gives_the_same_weights(tmp_path, tensors, dtype, shards):
    rounded = {
        name: values.astype(np.float16).astype(np.float32).view(np.uint32) & 0xFFFF0000
        for name, values in tensors.items()
    }
    rounded = {name: values.view(np.float32) for name, values in rounded.items()}  # the same in all three
    wanted = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "plain", rounded))
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "other", rounded, dtype=dtype, shards=shards))
    assert {leaf.dtype for leaf in tree_leaves(model.weights)} == {np.dtype(np.float32)}
    for ours, theirs in zip(tree_leaves(model.weights), tree_leaves(wanted.weights), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model(IDS).logits, wanted(IDS).logits)


def test_each_tensor_is_the_weight_of_its_name(tmp_path, tensors):
    model, _ = load_both(write_model(tmp_path, tensors))
    np.testing.assert_array_equal(model.weights.roberta.layers[1].attention.query.weight, tensors[QUERY])
    np.testing.assert_array_equal(model.weights.roberta.embeddings.word, tensors[WORDS])
    np.testing.assert_array_equal(model.weights.lm_head.bias, tensors["lm_head.bias"])


def test_float32_weights_are_mapped_and_not_copied(tmp_path, tensors):
    model, encoder = load_both(write_model(tmp_path, tensors))
    for leaf in [*tree_leaves(model.weights), *tree_leaves(encoder.weights)]:
        assert not leaf.flags.owndata
        assert not leaf.flags.writeable


@pytest.mark.parametrize("pooler", [False, True])
def test_an_encoder_saved_bare_loads_as_the_one_inside_a_model(tmp_path, pooler):
    inside = seeded_tensors(pooler=pooler)
    bare = {name.removeprefix("roberta."): values for name, values in inside.items() if name.startswith("roberta.")}
    first = RobertaModel.from_pretrained(write_model(tmp_path / "inside", inside))(IDS)
    second = RobertaModel.from_pretrained(write_model(tmp_path / "bare", bare))(IDS)
    np.testing.assert_array_equal(first.last_hidden_state, second.last_hidden_state)
    assert (first.pooler_output is not None) == (second.pooler_output is not None) == pooler


def test_what_other_tasks_need_may_be_there(tmp_path, tensors):
    extra = {
        "roberta.embeddings.position_ids": np.zeros((1, 514), np.float32),
        "classifier.dense.weight": np.full((2, 2), np.nan, np.float32),  # not even read
        "qa_outputs.bias": np.zeros(2, np.float32),
        "roberta.pooler.dense.weight": np.zeros((16, 16), np.float32),
        "roberta.pooler.dense.bias": np.zeros(16, np.float32),
        "lm_head.decoder.weight": tensors[WORDS],
        "lm_head.decoder.bias": tensors["lm_head.bias"],
    }
    plain, _ = load_both(write_model(tmp_path / "plain", tensors))
    model, _ = load_both(write_model(tmp_path / "more", tensors | extra))
    np.testing.assert_array_equal(model(IDS).logits, plain(IDS).logits)


def test_layer_norms_with_the_names_of_tensorflow(tmp_path, tensors):
    renamed = {}
    for name, values in tensors.items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        renamed[old] = values
    plain = load_both(write_model(tmp_path / "plain", tensors))
    for ours, expected in zip(load_both(write_model(tmp_path / "old", renamed)), plain, strict=True):
        for leaf, wanted in zip(tree_leaves(ours.weights), tree_leaves(expected.weights), strict=True):
            np.testing.assert_array_equal(leaf, wanted)


@pytest.mark.parametrize("changes", [{WORDS: "lm_head.decoder.weight"}, {"lm_head.bias": "lm_head.decoder.bias"}])
def test_tied_tensors_that_are_stored_under_their_other_name_only(tmp_path, tensors, changes):
    plain = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "plain", tensors))
    renamed = {changes.get(name, name): values for name, values in tensors.items()}
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "renamed", renamed))
    np.testing.assert_array_equal(model(IDS).logits, plain(IDS).logits)


def test_an_encoder_without_its_prefix_next_to_a_head(tmp_path, tensors):
    plain = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "plain", tensors))
    bare = {name.removeprefix("roberta."): values for name, values in tensors.items()}
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "bare", bare))
    np.testing.assert_array_equal(model(IDS).logits, plain(IDS).logits)


def test_a_head_that_is_not_known_is_warned_of(tmp_path, tensors):
    plain, _ = load_both(write_model(tmp_path / "plain", tensors))
    write_model(tmp_path / "more", tensors | {"my\x1b[31m.weight": np.zeros(2, np.float32)})
    with pytest.warns(UserWarning, match=r"my\\x1b\[31m\.weight in the checkpoint are not used") as caught:
        model = RobertaForMaskedLM.from_pretrained(tmp_path / "more")
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(model(IDS).logits, plain(IDS).logits)


def test_a_head_that_says_it_is_not_tied_must_hold_both_copies(tmp_path, tensors):
    copies = {"lm_head.decoder.weight": tensors[WORDS], "lm_head.decoder.bias": tensors["lm_head.bias"]}
    plain = RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "plain", tensors))
    untied = write_model(tmp_path / "copies", tensors | copies, tie_word_embeddings=False)
    np.testing.assert_array_equal(RobertaForMaskedLM.from_pretrained(untied)(IDS).logits, plain(IDS).logits)
    for name in copies:
        folder = write_model(tmp_path / name, {**tensors, **copies, name: copies[name] + 1}, tie_word_embeddings=False)
        with pytest.raises(CheckpointError, match=f"{name} differs from"):
            RobertaForMaskedLM.from_pretrained(folder)
    write_model(tmp_path / "none", tensors, tie_word_embeddings=False)
    with pytest.raises(CheckpointError, match=r"lm_head\.decoder\.weight is missing, but config\.json says"):
        RobertaForMaskedLM.from_pretrained(tmp_path / "none")
    RobertaModel.from_pretrained(tmp_path / "none")


# -- files that change -----------------------------------------------------------------------------------------------


def test_weights_that_change_on_disk_are_noticed(tmp_path, tensors):
    file = write_model(tmp_path, tensors) / "model.safetensors"
    content = file.read_bytes()
    for kind in (RobertaForMaskedLM, RobertaModel):
        file.write_bytes(content)
        os.utime(file, (0, 0))
        model = kind.from_pretrained(tmp_path)
        model(IDS)
        with open(file, "r+b") as opened:  # as `cp` does
            opened.write(content[::-1])
        with pytest.raises(CheckpointError, match="has been changed since it was loaded"):
            model(IDS)
        with pytest.raises(CheckpointError, match="memory_map=False"):
            model.encode(IDS, [[0]])


def test_a_file_that_replaces_the_mapped_one_changes_nothing(tmp_path, tensors):
    file = write_model(tmp_path / "model", tensors) / "model.safetensors"
    model = RobertaForMaskedLM.from_pretrained(file.parent)
    expected = model(IDS).logits
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "other").replace(file)
    np.testing.assert_array_equal(model(IDS).logits, expected)


@pytest.mark.parametrize("shards", [0, 3])
def test_weights_that_are_read_into_memory_do_not_depend_on_the_file(tmp_path, tensors, shards):
    mapped = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, tensors, shards=shards))
    expected = mapped(IDS).logits
    model = RobertaForMaskedLM.from_pretrained(tmp_path, memory_map=False)
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"")
    np.testing.assert_array_equal(model(IDS).logits, expected)


def test_models_can_still_be_copied_and_pickled(tmp_path, tensors):
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, tensors))
    expected = model(IDS).logits
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    (tmp_path / "model.safetensors").unlink()
    for each in copies:
        np.testing.assert_array_equal(each(IDS).logits, expected)


def test_a_model_of_another_task_loads_as_an_encoder_and_not_as_one_that_fills_masks(tmp_path, tensors):
    headless = {name: values for name, values in tensors.items() if not name.startswith("lm_head.")}
    write_model(tmp_path, headless | {"classifier.out_proj.bias": np.zeros(2, np.float32)})
    assert RobertaModel.from_pretrained(tmp_path)(IDS).last_hidden_state.shape == (1, 5, 16)
    with pytest.raises(
        CheckpointError, match=r"no masked-language-model head .* load the encoder alone with RobertaModel"
    ):
        RobertaForMaskedLM.from_pretrained(tmp_path)


# -- what can not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lm_head.decoder.weight", "lm_head.decoder.bias"])
def test_a_head_that_is_not_tied_is_refused(tmp_path, tensors, name):
    tied = tensors[WORDS if name.endswith("weight") else "lm_head.bias"]
    write_model(tmp_path, tensors | {name: tied + np.float32(0.01)})
    with pytest.raises(CheckpointError, match=f"{name} differs from .* to which it is tied"):
        RobertaForMaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", sorted(seeded_tensors()))
def test_every_missing_tensor_is_named(tmp_path, tensors, name):
    del tensors[name]
    write_model(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=f"the checkpoint lacks {name}"):
        RobertaForMaskedLM.from_pretrained(tmp_path)


def test_many_missing_tensors_are_counted(tmp_path, tensors):
    refused(tmp_path, "lacks .*, .*, .* and 13 more", {n: v for n, v in tensors.items() if ".layer.1." not in n})


def test_a_layer_too_many_is_refused(tmp_path, tensors):
    more = {n.replace(".layer.1.", ".layer.2."): v for n, v in tensors.items() if ".layer.1." in n}
    refused(tmp_path, r"has roberta\.encoder\.layer\.2\..*, which the config does not describe", tensors | more)


def test_half_a_pooler_is_refused(tmp_path, tensors):
    write_model(tmp_path, tensors | {"roberta.pooler.dense.weight": np.zeros((16, 16), np.float32)})
    with pytest.raises(CheckpointError, match=r"the checkpoint lacks roberta\.pooler\.dense\.bias"):
        RobertaModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("shape", [(16,), (16, 17), (4, 64), (256,), (1, 16, 16), (16, 16, 1), (0, 16), ()])
def test_a_wrong_shape_is_refused_and_both_are_named(tmp_path, tensors, shape):
    tensors[QUERY] = np.zeros(shape, np.float32)
    refused(
        tmp_path, rf"query\.weight has the shape \({', '.join(map(str, shape))}.*the config says \(16, 16\)", tensors
    )


@pytest.mark.parametrize(
    "field", ["vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings", "type_vocab_size"]
)
def test_a_config_of_another_size_is_refused(tmp_path, tensors, field):
    config = write_model(tmp_path, tensors) / "config.json"
    values = json.loads(config.read_text())
    write_json(config, values | {field: values[field] + 4})
    refused(tmp_path, "has the shape")


@pytest.mark.parametrize("dtype", ["F64", "I8", "I64"])
def test_a_wrong_dtype_is_refused(tmp_path, tensors, dtype):
    refused(tmp_path, f"has the dtype {dtype}; only F32, F16, BF16 are supported", tensors, dtype=dtype)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["F32", "F16"])
@pytest.mark.parametrize("name", [QUERY, WORDS, "roberta.embeddings.LayerNorm.bias"])
def test_nan_and_infinity_are_refused(tmp_path, tensors, bad, dtype, name):
    tensors[name].flat[-1] = bad
    refused(tmp_path, f"{name} contains NaN or infinity", tensors, dtype=dtype)


def test_a_truncated_file_is_refused(tmp_path, tensors):
    file = write_model(tmp_path, tensors) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    refused(tmp_path, "not a complete safetensors file")


def test_an_empty_file_and_a_folder_in_its_place(tmp_path, tensors):
    file = write_model(tmp_path, tensors) / "model.safetensors"
    file.write_bytes(b"")
    refused(tmp_path, r"model\.safetensors \(0 bytes\)")
    file.unlink()
    file.mkdir()
    refused(tmp_path, "not a complete safetensors file: not a regular file")


def test_a_folder_without_weights(tmp_path, tensors):
    (write_model(tmp_path, tensors) / "model.safetensors").unlink()
    refused(tmp_path, r"no model\.safetensors and no model\.safetensors\.index\.json")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"])
def test_a_pickle_is_never_opened(tmp_path, tensors, name):
    folder = write_model(tmp_path, tensors)
    (folder / "model.safetensors").unlink()
    # Opening this as a pickle would end the test run.
    (folder / name).write_bytes(b"cbuiltins\nexit\n(tR.")
    refused(folder, f"{name}: a pickle can run any code.*save_pretrained")


# -- shards ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sharded(tmp_path):
    return write_model(tmp_path, shards=3)


def shard(folder, number):
    return folder / f"model-{number:05}-of-00003.safetensors"


def rewrite_map(folder, change):
    index = json.loads((folder / INDEX).read_text())
    write_json(folder / INDEX, index | {"weight_map": change(index["weight_map"])})


def test_a_missing_shard_is_named(sharded):
    shard(sharded, 2).unlink()
    refused(sharded, r"model-00002-of-00003\.safetensors: no such file")


def test_a_truncated_shard_is_named(sharded):
    shard(sharded, 2).write_bytes(shard(sharded, 2).read_bytes()[:-1])
    refused(sharded, r"model-00002-of-00003\.safetensors .*not a complete")


@pytest.mark.parametrize(
    "name",
    [
        "../model.safetensors",
        "/etc/model.safetensors",
        "a/../../model.safetensors",
        "sub/model.safetensors",
        "..\\model.safetensors",
        "C:model.safetensors",
        "pytorch_model.bin",
        "config.json",
        "",
        ".",
        "..",
        None,
        5,
        True,
        ["model.safetensors"],
        {"a": 1},
    ],
    ids=repr,
)
def test_a_name_that_leads_elsewhere_is_refused(sharded, name):
    rewrite_map(sharded, lambda names: names | {QUERY: name})
    refused(sharded, "as a file of weights; it must be a .safetensors next to it")


@pytest.mark.parametrize("name", ["nul\0.safetensors", "\ud800.safetensors", "x" * 5000 + ".safetensors"], ids=range(3))
def test_a_name_that_no_file_can_have_is_refused(sharded, name):
    rewrite_map(sharded, lambda names: names | {QUERY: name})
    refused(sharded, "as a file of weights")


def test_a_tensor_in_the_wrong_shard_is_named(sharded):
    names = json.loads((sharded / INDEX).read_text())["weight_map"]
    other = next(file for file in names.values() if file != names[QUERY])
    rewrite_map(sharded, lambda names: names | {QUERY: other})
    refused(sharded, f"says that {QUERY} is in {other}, but it is not")


def test_a_tensor_that_the_index_does_not_have_is_named(sharded):
    rewrite_map(sharded, lambda names: {name: file for name, file in names.items() if name != QUERY})
    refused(sharded, rf"holds {QUERY}, which model\.safetensors\.index\.json does not expect there")


def test_a_tensor_in_two_shards_is_refused(sharded):
    content = {QUERY: seeded_tensors()[QUERY], "classifier.bias": np.zeros(1, np.float32)}
    (sharded / "extra.safetensors").write_bytes(safetensors_bytes(content))
    rewrite_map(sharded, lambda names: names | {"classifier.bias": "extra.safetensors"})
    refused(sharded, rf"extra\.safetensors: holds {QUERY}, which")


@pytest.mark.parametrize("weight_map", [None, {}, [], "model.safetensors", 5], ids=repr)
def test_an_index_without_a_map_is_refused(sharded, weight_map):
    rewrite_map(sharded, lambda names: weight_map)
    refused(sharded, "has no weight_map")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 10**5, b'{"weight_map": {"a": "b", "a": "c"}}'], ids=range(7)
)
def test_an_index_that_is_no_index_is_refused(sharded, content):
    (sharded / INDEX).write_bytes(content)
    refused(sharded, r"index\.json: (not valid JSON|has no weight_map)")


def test_an_enormous_index_is_refused_without_delay(sharded):
    # Comparing every name with every other would take hours.
    rewrite_map(sharded, lambda names: {f"t{i}": f"{i}.safetensors" for i in range(200_000)})
    refused(sharded, r"0\.safetensors: no such file")
