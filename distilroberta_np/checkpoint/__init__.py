"""From files to weights: `keys.py` says what must be there, `safetensors_file.py` reads it, `load.py` checks it."""
