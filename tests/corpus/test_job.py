"""Corpus jobs: columns, formats, bad rows, kills, and several processes."""

import csv
import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from distilroberta_np import (
    CheckpointError,
    CorpusError,
    PseudoLikelihoodScorer,
    RobertaForMaskedLM,
    SentenceEncoder,
    pipeline,
)
from distilroberta_np.cli import main
from distilroberta_np.corpus.columns import Task, add_columns
from distilroberta_np.corpus.job import MANIFEST, PARTS, float32_copy, in_processes, map_in_processes, run_job
from distilroberta_np.corpus.tables import map_part
from tests.support.answers import close
from tests.support.seeded import write_model
from tests.support.seeded_heads import write_classifier
from tests.support.seeded_question_answering import write_question_answering
from tests.support.sentence_folders import write_sentence_encoder

TEXTS = ["the cat <mask>", "no mask", "a <mask> b", "", "<mask>"]


@pytest.fixture
def model(tmp_path):
    return str(write_model(tmp_path / "model"))


def write_lines(path, texts=TEXTS):
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_text_becomes_json_lines_with_the_pipelines_answers(tmp_path, model):
    source = write_lines(tmp_path / "a.txt")
    assert run_job(Task("fill-mask", model, ("text",), {"top_k": 2}), [source], tmp_path / "out") == (5, 2)
    unmasker = pipeline("fill-mask", model)
    for row, text in zip(read_lines(tmp_path / "out" / "a.jsonl"), TEXTS, strict=True):
        assert row["text"] == text
        if "<mask>" in text:
            assert row["error"] is None
            assert close(row["predictions"], unmasker(text, top_k=2))
        else:
            assert row["predictions"] is None
            assert row["error"] == "No mask_token (<mask>) found on the input"


def test_csv_keeps_its_columns_and_marks_bad_rows(tmp_path, model):
    source = tmp_path / "a.csv"
    source.write_text('id,text,note\n1,"a, <mask>",x\n2,"two\nlines <mask>",y\n3\n4,<mask>,z,more\n', encoding="utf-8")
    assert run_job(Task("fill-mask", model, ("text",)), [source], tmp_path / "out") == (4, 2)
    with open(tmp_path / "out" / "a.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[1]["text"] == "two\nlines <mask>"
    assert len(json.loads(rows[0]["predictions"])) == 5
    assert [bool(row["error"]) for row in rows] == [False, False, True, True]


def test_json_lines_with_bad_rows(tmp_path, model):
    source = tmp_path / "a.jsonl"
    source.write_bytes(b'{"id": 1, "text": "a <mask>"}\n{broken\n[1]\n{}\n{"text": 5}\n\xff\n')
    assert run_job(Task("fill-mask", model, ("text",)), [source], tmp_path / "out") == (6, 5)
    rows = read_lines(tmp_path / "out" / "a.jsonl")
    assert rows[0]["id"] == 1 and rows[0]["error"] is None
    assert [row["error"].split(":")[0] for row in rows[1:]] == [
        "not valid JSON",
        "not a JSON object",
        "column text is missing",
        "column text is 5, not a text",
        "not valid JSON",
    ]
    assert ["predictions" in row for row in rows] == [True, False, False, True, True, False]


def test_parquet_keeps_its_types(tmp_path, model):
    arrow = pytest.importorskip("pyarrow", reason="needs the corpus extra")
    import pyarrow.parquet as parquet

    table = arrow.table({"id": arrow.array([1, 2, 3], arrow.int8()), "text": ["a <mask>", None, "b"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert run_job(Task("fill-mask", model, ("text",)), [tmp_path / "a.parquet"], tmp_path / "out") == (3, 2)
    result = parquet.read_table(tmp_path / "out" / "a.parquet")
    assert result.select(["id", "text"]) == table
    assert [row is None for row in result["error"].to_pylist()] == [True, False, False]
    assert len(json.loads(result["predictions"][0].as_py())) == 5


def test_a_lone_surrogate_is_written_as_its_escape(tmp_path, model):
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "\\ud83d <mask>"}\n{"text": "a <mask>", "note": "\\ude00\\\\"}\n')
    assert run_job(Task("fill-mask", model, ("text",)), [source], tmp_path / "out") == (2, 1)
    bad, good = read_lines(tmp_path / "out" / "a.jsonl")
    assert bad["text"] == "\ud83d <mask>" and "surrogate" in bad["error"]
    assert good["note"] == "\ude00\\" and good["error"] is None
    classifier = write_classifier(tmp_path / "classifier", ["\ud83d", "\ud83d"])
    (tmp_path / "b.csv").write_text("text\nthe cat\n")
    run_job(Task("text-classification", str(classifier), ("text",)), [tmp_path / "b.csv"], tmp_path / "out-csv")
    assert (tmp_path / "out-csv" / "b.csv").read_text().splitlines()[1].startswith("the cat,\\ud83d,")


def test_the_mark_of_utf_8_is_no_part_of_the_text(tmp_path, model):
    (tmp_path / "a.txt").write_text("a <mask>\nb <mask>\n", encoding="utf-8-sig")
    (tmp_path / "b.jsonl").write_text('{"text": "a <mask>"}\n', encoding="utf-8-sig")
    (tmp_path / "c.csv").write_text("text\na <mask>\n", encoding="utf-8-sig")
    sources = [tmp_path / name for name in ("a.txt", "b.jsonl", "c.csv")]
    assert run_job(Task("fill-mask", model, ("text",)), sources, tmp_path / "out") == (4, 0)
    assert [row["text"] for row in read_lines(tmp_path / "out" / "a.jsonl")] == ["a <mask>", "b <mask>"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b'text\n"a"b\n', "a.csv: line 2: "),
        ("a.csv", b"text\n\xff\n", "a.csv: not UTF-8 after line 0; save it as UTF-8"),
        ("a.csv", b"", "a.csv has no column text; the columns are none"),
        ("a.jsonl", b'{"text": "a", "error": 1}', "a.jsonl has a column error already; rename it"),
        ("a.parquet", b"text", "a.parquet: "),
    ],
)
def test_a_file_that_is_malformed(tmp_path, model, name, content, message):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="needs the corpus extra")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        run_job(Task("fill-mask", model, ("text",)), [tmp_path / name], tmp_path / "out")


def test_parquet_with_a_text_that_is_not_utf_8_and_without_pyarrow(tmp_path, model, monkeypatch):
    arrow = pytest.importorskip("pyarrow", reason="needs the corpus extra")
    import pyarrow.parquet as parquet

    text = arrow.Array.from_buffers(arrow.string(), 1, arrow.array([b"\xff"]).buffers())
    parquet.write_table(arrow.table({"text": text}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a\.parquet: 'utf-8' codec"):
        run_job(Task("fill-mask", model, ("text",)), [tmp_path / "a.parquet"], tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match="Parquet needs pyarrow; install it with"):
        run_job(Task("fill-mask", model, ("text",)), [tmp_path / "a.parquet"], tmp_path / "out")


def test_a_line_that_is_not_utf_8_is_a_row_with_an_error(tmp_path, model):
    (tmp_path / "a.txt").write_bytes(b"\xff\na <mask>\n")
    assert run_job(Task("fill-mask", model, ("text",)), [tmp_path / "a.txt"], tmp_path / "out") == (2, 1)
    assert read_lines(tmp_path / "out" / "a.jsonl")[0]["error"].startswith("not UTF-8: ")


def test_every_task(tmp_path):
    classifier = write_classifier(tmp_path / "classifier", ["contradiction", "neutral", "entailment"])
    answerer = write_question_answering(tmp_path / "answerer")
    encoder = write_sentence_encoder(tmp_path / "encoder")
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "the cat", "other": "sat", "q": "Where?", "c": "I live in Berlin."}\n')

    def row(task, model, columns=("text",), **options):
        folder = tmp_path / f"out-{task}-{len(columns)}"
        assert run_job(Task(task, str(model), columns, options), [source], folder) == (1, 0)
        return read_lines(folder / "a.jsonl")[0]

    classify = pipeline("text-classification", classifier)
    assert close(
        {key: row("text-classification", classifier)[key] for key in ("label", "score")}, classify("the cat")[0]
    )
    pair = row("text-classification", classifier, ("text", "other"))
    expected = classify({"text": "the cat", "text_pair": "sat"})
    assert close({key: pair[key] for key in ("label", "score")}, expected)
    labels = ["cat", "on"]
    zero_shot = row("zero-shot-classification", classifier, candidate_labels=labels)
    expected = pipeline("zero-shot-classification", classifier)("the cat", candidate_labels=labels)
    assert close(
        {key: zero_shot[key] for key in ("labels", "scores")}, {key: expected[key] for key in ("labels", "scores")}
    )
    answer = row("question-answering", answerer, ("q", "c"))
    expected = pipeline("question-answering", answerer)(question="Where?", context="I live in Berlin.")
    assert close({key: answer[key] for key in expected}, expected)
    embedding = row("encode", encoder)["embedding"]
    assert np.allclose(embedding, SentenceEncoder.from_pretrained(encoder).encode("the cat"), atol=1e-5)


def test_embeddings_of_lower_precision(tmp_path):
    encoder = str(write_sentence_encoder(tmp_path / "encoder"))
    (tmp_path / "a.jsonl").write_text('{"text": "the cat"}\n{}\n{"text": "sat"}\n')
    task = Task("encode", encoder, ("text",), {"precision": "binary"})
    assert run_job(task, [tmp_path / "a.jsonl"], tmp_path / "out") == (3, 1)
    rows = read_lines(tmp_path / "out" / "a.jsonl")
    expected = SentenceEncoder.from_pretrained(encoder).encode(["the cat", "sat"], precision="binary")
    assert [row["embedding"] for row in rows] == [expected[0].tolist(), None, expected[1].tolist()]
    # Each batch would have a range of its own.
    for precision in ("int8", "uint8"):
        with pytest.raises(CorpusError, match=f"precision {precision} needs the range of all embeddings"):
            Task("encode", encoder, ("text",), {"precision": precision})


@pytest.mark.parametrize("task", ["encode", "fill-mask"])
def test_weights_that_change_end_the_job(tmp_path, task):
    folder = write_sentence_encoder(tmp_path / "encoder")
    sources = [write_lines(tmp_path / f"{name}.txt", ["a <mask>"]) for name in "ab"]

    def touch(part):
        os.utime(folder / "model.safetensors", ns=(1, 1))

    with pytest.raises(CheckpointError, match="has been changed"):
        run_job(Task(task, str(folder), ("text",)), sources, tmp_path / "out", report=touch)
    assert [row["name"] for row in read_lines(tmp_path / "out" / PARTS)] == ["a.jsonl"]
    assert not (tmp_path / "out" / "b.jsonl").exists()
    run_job(Task(task, str(folder), ("text",)), sources, tmp_path / "out")  # which loads the model again


def test_score(tmp_path, model):
    (tmp_path / "a.txt").write_text("the cat sat\n<mask>\n")
    assert run_job(Task("score", model, ("text",)), [tmp_path / "a.txt"], tmp_path / "out") == (2, 1)
    unmasker = pipeline("fill-mask", model)
    expected = PseudoLikelihoodScorer(unmasker.model, unmasker.tokenizer)("the cat sat")
    row = read_lines(tmp_path / "out" / "a.jsonl")[0]
    assert row["pseudo_log_likelihood"] == pytest.approx(expected["pseudo_log_likelihood"], abs=1e-5)
    assert row["tokens"] == len(expected["tokens"])


def test_half_precision_is_converted_once_for_all_processes(tmp_path):
    half = tmp_path / "half"
    RobertaForMaskedLM.from_pretrained(write_model(tmp_path / "model")).save_pretrained(half, dtype="float16")
    (half / "tokenizer.json").write_bytes((tmp_path / "model" / "tokenizer.json").read_bytes())
    with float32_copy(Task("fill-mask", str(half), ("text",)), tmp_path) as task:
        copy = RobertaForMaskedLM.from_pretrained(task.model).state_dict()
        for name, values in RobertaForMaskedLM.from_pretrained(half).state_dict().items():
            np.testing.assert_array_equal(copy[name], values)
            assert not copy[name].flags.owndata  # mapped, so processes share it
    assert not Path(task.model).exists()
    with float32_copy(Task("fill-mask", str(tmp_path / "model"), ("text",)), tmp_path) as task:
        assert task.model == str(tmp_path / "model")
    inside = half / "out"  # the output may lie in the model's folder
    inside.mkdir()
    with float32_copy(Task("fill-mask", str(half), ("text",)), inside) as task:
        names = sorted(path.name for path in Path(task.model).iterdir())
        assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    # Old models have the numbers of the positions among their weights.
    path = tmp_path / "model" / "model.safetensors"
    save_file(load_file(path) | {"roberta.embeddings.position_ids": np.arange(514)[None]}, path)
    with float32_copy(Task("fill-mask", str(tmp_path / "model"), ("text",)), tmp_path) as task:
        assert task.model == str(tmp_path / "model")


def test_a_name_is_looked_up_as_the_task_does(tmp_path, model, monkeypatch):
    seen = []

    def resolve(name, *, local_files_only, parts):
        seen.append((name, parts))
        return Path(model)

    monkeypatch.setattr("distilroberta_np.corpus.columns.resolve_model", resolve)
    for name in ("encode", "fill-mask"):
        with float32_copy(Task(name, "all-distilroberta-v1", ("text",)), tmp_path):
            pass
    assert seen == [
        ("sentence-transformers/all-distilroberta-v1", ("config", "weights", "tokenizer", "modules")),
        ("all-distilroberta-v1", ("config", "weights", "tokenizer")),
    ]


def test_files_that_are_not_read_do_not_matter(tmp_path, model):
    task, source = Task("fill-mask", model, ("text",)), write_lines(tmp_path / "a.txt")
    run_job(task, [source], tmp_path / "out")
    for name in ("vocab.json", "modules.json", "other.safetensors", "more/config.json"):
        (Path(model) / name).parent.mkdir(exist_ok=True)
        (Path(model) / name).write_text("{}")
    assert run_job(task, [source], tmp_path / "out") == (5, 2)


def test_a_model_that_is_trained_on_between_two_jobs_is_loaded_again(tmp_path, model):
    task, source = Task("fill-mask", model, ("text",)), write_lines(tmp_path / "a.txt")
    run_job(task, [source], tmp_path / "one")
    (write_model(tmp_path / "other", seed=1) / "model.safetensors").replace(Path(model) / "model.safetensors")
    run_job(task, [source], tmp_path / "two")
    expected = pipeline("fill-mask", model)(TEXTS[0])
    assert close(read_lines(tmp_path / "two" / "a.jsonl")[0]["predictions"], expected)
    assert not close(read_lines(tmp_path / "one" / "a.jsonl")[0]["predictions"], expected)
    stale = replace(task, digests=(("model.safetensors", "0" * 64),))  # as of a worker that is started late
    with pytest.raises(CorpusError, match="have changed since the job began; use another folder"):
        add_columns(stale, [["a <mask>"]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"top_k": 3}}, "options"),
        ({"inputs": ("other",)}, "inputs"),
        ({"model": None}, "model"),
    ],
)
def test_another_job_is_refused(tmp_path, model, change, message):
    task = {"name": "fill-mask", "model": model, "inputs": ("text",)}
    run_job(Task(**task), [write_lines(tmp_path / "a.txt")], tmp_path / "out")
    with pytest.raises(CorpusError, match=message):
        run_job(Task(**task | change), [tmp_path / "a.txt"], tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    [
        "0_Transformer/tokenizer.json",
        "0_Transformer/sentence_bert_config.json",
        "1_Pooling/config.json",
        "config_sentence_transformers.json",
    ],
)
def test_a_job_of_another_sentence_encoder_is_refused(tmp_path, name):
    folder = write_sentence_encoder(tmp_path / "encoder", encoder="0_Transformer", settings={}, encoder_settings={})
    task = Task("encode", str(folder), ("text",))
    run_job(task, [write_lines(tmp_path / "a.txt")], tmp_path / "out")
    run_job(task, [tmp_path / "a.txt"], tmp_path / "out")
    with open(folder / name, "a") as file:
        file.write(" ")
    with pytest.raises(CorpusError, match="the job in this folder differs in model"):
        run_job(task, [tmp_path / "a.txt"], tmp_path / "out")


def test_a_job_of_another_model_in_shards_is_refused(tmp_path):
    folder = write_model(tmp_path / "model", shards=2)
    task, source = Task("fill-mask", str(folder), ("text",)), write_lines(tmp_path / "a.txt")
    for _ in range(2):  # the output is no part of the model, even if it lies in its folder
        run_job(task, [source], folder / "out")
    write_model(folder, shards=2, seed=1)
    with pytest.raises(CorpusError, match="the job in this folder differs in model"):
        run_job(task, [source], folder / "out")


def test_finished_parts_are_skipped_and_changed_inputs_refused(tmp_path, model):
    task = Task("fill-mask", model, ("text",))
    sources = [write_lines(tmp_path / f"{name}.txt") for name in "ab"]
    run_job(task, sources, tmp_path / "out")
    before = (tmp_path / "out" / "a.jsonl").stat()
    seen = []
    assert run_job(task, sources, tmp_path / "out", report=seen.append) == (10, 4)
    assert (tmp_path / "out" / "a.jsonl").stat().st_mtime_ns == before.st_mtime_ns
    assert [part.name for part in seen] == ["a.jsonl", "b.jsonl"]
    write_lines(sources[0], ["other <mask>"])
    with pytest.raises(CorpusError, match="changed"):
        run_job(task, sources, tmp_path / "out")


def test_an_input_that_changes_while_its_part_is_computed(tmp_path, model, monkeypatch):
    def map_and_change(source, *arguments):
        result = map_part(source, *arguments)
        write_lines(source, ["other <mask>"])
        return result

    task, source = Task("fill-mask", model, ("text",)), write_lines(tmp_path / "a.txt")
    with monkeypatch.context() as patch, pytest.raises(CorpusError, match="has changed while its part was computed"):
        patch.setattr("distilroberta_np.corpus.job.map_part", map_and_change)
        run_job(task, [source], tmp_path / "out")
    assert not (tmp_path / "out" / "a.jsonl").exists()
    assert run_job(task, [source], tmp_path / "out") == (1, 0)


def test_a_part_without_its_file_is_computed_again(tmp_path, model):
    task, source = Task("fill-mask", model, ("text",)), write_lines(tmp_path / "a.txt")
    run_job(task, [source], tmp_path / "out")
    whole = (tmp_path / "out" / "a.jsonl").read_bytes()
    (tmp_path / "out" / "a.jsonl").unlink()
    with open(tmp_path / "out" / PARTS, "a") as file:
        file.write('{"name": "cut o')
    run_job(task, [source], tmp_path / "out")
    assert (tmp_path / "out" / "a.jsonl").read_bytes() == whole
    assert [row["name"] for row in read_lines(tmp_path / "out" / PARTS)] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no input files"),
        (["a.docx"], "must end in"),
        (["missing.txt"], "no such file"),
        (["x/a.txt", "y/a.jsonl"], "rename one"),
        (["parts.txt"], r"written to parts\.jsonl, the log of the job; rename it"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path, model, files, message):
    for name in files:
        if not name.startswith("missing"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write_lines(tmp_path / name)
    with pytest.raises(CorpusError, match=message):
        run_job(Task("fill-mask", model, ("text",)), [tmp_path / name for name in files], tmp_path / "out")


def test_a_missing_column_and_a_taken_one(tmp_path, model):
    source = tmp_path / "a.csv"
    source.write_text("text,error\n<mask>,x\n")
    with pytest.raises(CorpusError, match="no column sentence; the columns are text, error"):
        run_job(Task("fill-mask", model, ("sentence",)), [source], tmp_path / "out")
    with pytest.raises(CorpusError, match="has a column error already"):
        run_job(Task("fill-mask", model, ("text",)), [source], tmp_path / "out2")
    assert not (tmp_path / "out2" / "a.csv").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path, model):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match=f"no {MANIFEST}"):
        run_job(Task("fill-mask", model, ("text",)), [write_lines(tmp_path / "a.txt")], tmp_path / "out")


def test_wrong_options_are_said_before_the_job_starts(tmp_path, model):
    for options, message in (({"top_k": -1}, "top_k must be at least 0"), ({"topk": 3}, "did you mean top_k")):
        with pytest.raises(ValueError, match=message):
            run_job(Task("fill-mask", model, ("text",), options), [write_lines(tmp_path / "a.txt")], tmp_path / "out")
    with pytest.raises(CorpusError, match="encode needs a sentence encoder; name one with --model"):
        run_job(Task("encode", None, ("text",)), [tmp_path / "a.txt"], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "inputs", "options", "message"),
    [
        ("fly", ("text",), {}, "unknown task 'fly'; choose from fill-mask, "),
        ("fill-mask", ("a", "b"), {}, "fill-mask needs 1 column, and got 2: a, b"),
        ("question-answering", ("a",), {}, "question-answering needs 2 columns, and got 1: a"),
        ("text-classification", ("a", "b", "c"), {}, "needs 1 or 2 columns, and got 3: a, b, c"),
        ("text-classification", ("text",), {"top_k": 0}, "writes only the best answer of each row; omit top_k"),
        ("question-answering", ("a", "b"), {"top_k": 3}, "writes only the best answer of each row; omit top_k"),
    ],
)
def test_tasks_that_cannot_be(name, inputs, options, message):
    with pytest.raises(CorpusError, match=message):
        Task(name, None, inputs, options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers must be at least 1"),
        (["--revision", "main"], "--revision is not supported here; download the model"),
        (["--set", "top_k"], "--set top_k: write NAME=VALUE"),
    ],
)
def test_wrong_arguments_of_the_command(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["map", "fill-mask", "--input", "a.txt", "--output", "out", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_wrong_option_of_the_command(capsys, tmp_path, model):
    source = write_lines(tmp_path / "a.txt")
    command = ["map", "fill-mask", "--model", model, "--input", str(source), "--output", str(tmp_path / "out")]
    assert main([*command, "--set", "topk=3"]) == 2
    assert capsys.readouterr().err == "distilroberta-np: fill-mask: unknown option 'topk'; did you mean top_k?\n"


def test_several_processes_give_the_same_rows(tmp_path, model):
    sources = [write_lines(tmp_path / f"{name}.txt") for name in "abc"]
    task = Task("fill-mask", model, ("text",))
    run_job(task, sources, tmp_path / "one")
    run_job(task, sources, tmp_path / "two", run=functools.partial(in_processes, 2))
    for name in "abc":
        assert close(read_lines(tmp_path / "two" / f"{name}.jsonl"), read_lines(tmp_path / "one" / f"{name}.jsonl"))


def die_once(source: Path):
    """Stands in for computing a part: the first process that gets it is killed."""
    marker = source.with_suffix(".killed")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return source.name


def die_always(source: Path):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_part_whose_process_is_killed_is_computed_again(tmp_path):
    sources = [tmp_path / f"{name}.txt" for name in "abc"]
    assert sorted(map_in_processes(1, die_once, sources)) == ["a.txt", "b.txt", "c.txt"]
    with pytest.raises(CorpusError, match=r"that computed \S*a\.txt was killed three times"):
        list(map_in_processes(1, die_always, sources))


def fail_for_a(source: Path):
    """Stands in for computing a part: that of a.txt fails when all parts have begun."""
    source.with_suffix(".begun").touch()
    if source.stem == "a":
        while not source.with_name("b.begun").exists():
            time.sleep(0.01)
        raise CorpusError("a.txt has no column text")
    time.sleep(0.5)
    return source.name


def test_parts_that_have_begun_are_finished_when_one_fails(tmp_path):
    finished = []
    with pytest.raises(CorpusError, match=r"a\.txt has no column text"):
        for name in map_in_processes(2, fail_for_a, [tmp_path / f"{name}.txt" for name in "ab"]):
            finished.append(name)
    assert finished == ["b.txt"]
    (tmp_path / "b.begun").touch()
    with pytest.raises(CorpusError):
        next(map_in_processes(1, fail_for_a, [tmp_path / f"{name}.txt" for name in "acde"]))
    assert not list(tmp_path.glob("[cde].begun"))


def blas_threads(source: Path):
    return os.environ["OPENBLAS_NUM_THREADS"]


def test_processes_share_the_threads_of_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr("distilroberta_np.corpus.job.worker_threads", lambda: 7)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert list(map_in_processes(2, blas_threads, [tmp_path / "a.txt"])) == ["3"]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"


def hang(source: Path):
    """Stands in for computing a part, and says in which process."""
    source.with_suffix(".part").write_text(str(os.getpid()))
    source.with_suffix(".part").rename(source.with_suffix(".pid"))
    time.sleep(600)


def test_processes_end_with_a_job_that_is_killed(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from distilroberta_np.corpus.job import map_in_processes\n"
        "from tests.corpus.test_job import hang\n"
        "if __name__ == '__main__':\n"
        "    list(map_in_processes(2, hang, list(map(pathlib.Path, sys.argv[1:]))))\n"
    )
    (tmp_path / "job.py").write_text(code)
    sources = [tmp_path / f"{name}.txt" for name in "ab"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    job = subprocess.Popen([sys.executable, tmp_path / "job.py", *sources], env=environment, stderr=subprocess.PIPE)
    files = [source.with_suffix(".pid") for source in sources]
    while not all(file.exists() for file in files):
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.01)
    job.kill()
    with job:
        job.stderr.read()  # ends when the last process that inherited it has ended


def test_a_killed_job_goes_on(tmp_path, model):
    texts = ["the cat <mask> " + "sat on " * (n % 9) for n in range(400)]
    sources = [write_lines(tmp_path / f"part-{n}.txt", texts) for n in range(6)]
    command = [
        sys.executable,
        "-m",
        "distilroberta_np",
        "map",
        "fill-mask",
        "--model",
        model,
        "--output",
        "out",
        "--input",
    ]
    command += [str(source) for source in sources]
    options = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}}
    log = tmp_path / "out" / PARTS
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.01)
    process.kill()
    process.wait()
    (tmp_path / "out" / "float32.1.incomplete").mkdir()  # as a killed job with several processes leaves it
    finished = subprocess.run(command, capture_output=True, text=True, **options)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "out: 2400 rows, 0 with errors\n"
    assert not list((tmp_path / "out").glob("*.incomplete"))
    run_job(Task("fill-mask", model, ("text",)), sources, tmp_path / "direct")
    for name in (f"{source.stem}.jsonl" for source in sources):
        assert close(read_lines(tmp_path / "out" / name), read_lines(tmp_path / "direct" / name))
