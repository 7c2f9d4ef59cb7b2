"""Tasks on the partitions of a Dask data frame (the `dask` extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .columns import Task, add_columns
from .tables import check_columns, json_texts

if TYPE_CHECKING:
    import dask.dataframe
    import pandas

_DTYPES = {"string": "string", "float": "float64", "int": "Int64", "embedding": "object", "json": "string"}


def map_partitions(
    frame: dask.dataframe.DataFrame,
    task: str,
    *,
    model: str | None = None,
    column: str | tuple[str, ...] = "text",
    **options: Any,
) -> dask.dataframe.DataFrame:
    """Add the columns of a task to every partition.

    The name of the model travels to the workers, not its weights: each process loads it once, and processes of one
    machine share float32 weights. Give the workers one thread each; Dask then sets BLAS to one thread.

    Args:
        frame: with a text column.
        task: such as "fill-mask"; a key of `corpus.columns.COLUMNS`.
        model: a folder that every worker sees, or a name on the hub.
        column: the text column; two for pairs, or for question and context.
        **options: arguments of the pipeline's call, or of `SentenceEncoder.encode`.

    Returns:
        The lazy data frame with the task's columns and `error`. Nested values are JSON text. To write embeddings to
        Parquet, name their type: `to_parquet(path, schema={"embedding": pyarrow.list_(pyarrow.float32())})`.

    Raises CorpusError: the task is unknown, or the frame lacks an input column or has one of the task's columns.
    """
    job = Task(task, model, (column,) if isinstance(column, str) else tuple(column), options)
    check_columns("the data frame", frame.columns, job.inputs, job.outputs)
    meta = frame._meta.assign(**{name: _empty(kind) for name, kind in job.outputs.items()})
    return frame.map_partitions(_map, job, meta=meta)


def _map(partition: pandas.DataFrame, task: Task) -> pandas.DataFrame:
    import pandas

    rows = partition[list(task.inputs)].astype("object").itertuples(index=False, name=None)
    texts = [[None if pandas.isna(value) else value for value in row] for row in rows]
    columns = add_columns(task, texts)
    series = {
        name: pandas.Series(
            json_texts(columns[name]) if kind == "json" else columns[name], index=partition.index, dtype=_DTYPES[kind]
        )
        for name, kind in task.outputs.items()
    }
    return partition.assign(**series)


def _empty(kind: str) -> pandas.Series[Any]:
    import pandas

    return pandas.Series(dtype=_DTYPES[kind])
