"""`python -m distilroberta_np.reference TEXT [FOLDER]`: the five most likely words for `<mask>`."""

import sys
from pathlib import Path

from .roberta import fill_mask

if __name__ == "__main__":
    if len(sys.argv) == 3:
        folder = Path(sys.argv[2])
    else:  # the embedded model: inside an installed package, next to the package in a checkout
        folder = next(path for up in Path(__file__).parents[1:3] if (path := up / "weights" / "tiny").exists())
    for score, word in fill_mask(sys.argv[1], folder):
        print(f"{score:.4f} {repr(word.strip())[1:-1]}")  # repr, as a word can contain control characters
