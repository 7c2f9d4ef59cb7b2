import pytest

from distilroberta_np.training.loss_curve import draw_losses

HEADER = "update,loss,learning_rate,gradient_norm,tokens,seconds\n"


def test_a_picture_is_drawn_next_to_the_losses(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the plot extra: pip install 'distilroberta-np[plot]'")
    path = tmp_path / "losses.csv"
    path.write_text(HEADER + "".join(f"{n},{5 / n},1e-3,1.0,100,0.1\n" for n in range(1, 80)))
    picture = draw_losses(path)
    assert picture == tmp_path / "losses.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["losses.csv", "losses.png"]


def test_nothing_is_drawn_of_a_single_update(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text(HEADER + "1,5.0,1e-3,1.0,100,0.1\n")
    assert draw_losses(path) is None
