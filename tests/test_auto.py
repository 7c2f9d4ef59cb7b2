import distilroberta_np
from distilroberta_np import auto
from tests.support.seeded import write_model


def roberta(name):
    return name.replace("AutoModelFor", "RobertaFor").replace("Auto", "Roberta")


def test_each_name_loads_what_it_says(tmp_path):
    folder = write_model(tmp_path)
    for name in ("AutoConfig", "AutoModel", "AutoModelForMaskedLM", "AutoTokenizer"):
        loaded = getattr(distilroberta_np, name).from_pretrained(folder)
        assert type(loaded).__name__ == roberta(name)


def test_every_name_is_exported_and_stands_for_one_class():
    for name in auto.__all__:
        assert getattr(distilroberta_np, name).__name__ == roberta(name)
