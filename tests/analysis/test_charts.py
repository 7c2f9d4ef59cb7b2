import builtins

import pytest

from distilroberta_np.analysis.bias import compare_groups
from distilroberta_np.analysis.charts import draw_comparison
from tests.support.seeded import seeded_pipeline


@pytest.fixture(scope="module")
def unmasker(tmp_path_factory):
    return seeded_pipeline(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(("groups", "top_k"), [(["cat", "sat"], 60), (["$x^$", "$", "_a", "<b>"], 3)])
def test_a_chart_is_drawn_and_no_other_file_left(unmasker, tmp_path, groups, top_k):
    pytest.importorskip("matplotlib", reason="needs the plot extra: pip install 'distilroberta-np[plot]'")
    comparison = compare_groups(unmasker, "the {} costs $ and $ <mask>", groups, top_k=top_k)
    picture = draw_comparison(comparison, tmp_path / "bias.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [picture]


def test_only_png_is_written(unmasker, tmp_path):
    comparison = compare_groups(unmasker, "the {cat|sat} on <mask>")
    with pytest.raises(ValueError, match=r"must end in \.png"):
        draw_comparison(comparison, tmp_path / "bias.jpg")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(unmasker, tmp_path, monkeypatch):
    comparison = compare_groups(unmasker, "the {cat|sat} on <mask>")
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'distilroberta-np\[plot\]'"):
        draw_comparison(comparison, tmp_path / "bias.png")
