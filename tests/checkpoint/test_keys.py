import pytest

from distilroberta_np import RobertaConfig
from distilroberta_np.checkpoint.keys import Key
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.models.roberta import roberta_keys

CONFIG = RobertaConfig(
    vocab_size=11,
    hidden_size=4,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=6,
    max_position_embeddings=9,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
)
EMBEDDINGS = {
    "embeddings.word_embeddings.weight": (11, 4),
    "embeddings.position_embeddings.weight": (9, 4),
    "embeddings.token_type_embeddings.weight": (1, 4),
    "embeddings.LayerNorm.weight": (4,),
    "embeddings.LayerNorm.bias": (4,),
}
LAYER = {
    "attention.self.query.weight": (4, 4),
    "attention.self.query.bias": (4,),
    "attention.self.key.weight": (4, 4),
    "attention.self.key.bias": (4,),
    "attention.self.value.weight": (4, 4),
    "attention.self.value.bias": (4,),
    "attention.output.dense.weight": (4, 4),
    "attention.output.dense.bias": (4,),
    "attention.output.LayerNorm.weight": (4,),
    "attention.output.LayerNorm.bias": (4,),
    "intermediate.dense.weight": (6, 4),
    "intermediate.dense.bias": (6,),
    "output.dense.weight": (4, 6),
    "output.dense.bias": (4,),
    "output.LayerNorm.weight": (4,),
    "output.LayerNorm.bias": (4,),
}
ENCODER = EMBEDDINGS | {f"encoder.layer.{index}.{name}": shape for index in (0, 1) for name, shape in LAYER.items()}
POOLER = {"pooler.dense.weight": (4, 4), "pooler.dense.bias": (4,)}
HEAD = {
    "lm_head.dense.weight": (4, 4),
    "lm_head.dense.bias": (4,),
    "lm_head.layer_norm.weight": (4,),
    "lm_head.layer_norm.bias": (4,),
    "lm_head.bias": (11,),
}


def table(keys):
    return {key.name: key.shape for key in tree_leaves(keys)}


@pytest.mark.parametrize("prefix", ["", "roberta."])
def test_the_encoders_names_and_shapes(prefix):
    assert table(roberta_keys(CONFIG, prefix, with_pooler=False)) == {prefix + k: v for k, v in ENCODER.items()}
    assert table(roberta_keys(CONFIG, prefix, with_pooler=True)) == {
        prefix + k: v for k, v in (ENCODER | POOLER).items()
    }


def test_the_masked_language_models_names_and_shapes():
    assert table(masked_lm_keys(CONFIG)) == {f"roberta.{k}": v for k, v in ENCODER.items()} | HEAD


def test_each_name_stands_where_the_forward_pass_takes_it():
    layer = roberta_keys(CONFIG, "", with_pooler=False).layers[1]
    assert layer.attention.value.bias == Key("encoder.layer.1.attention.self.value.bias", (4,))
    assert layer.attention_layer_norm.weight.name == "encoder.layer.1.attention.output.LayerNorm.weight"
    assert layer.feed_forward.output.weight == Key("encoder.layer.1.output.dense.weight", (4, 6))
    assert layer.feed_forward_layer_norm.bias.name == "encoder.layer.1.output.LayerNorm.bias"
