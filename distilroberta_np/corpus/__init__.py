"""Corpus jobs: a task applied to every row of large files, in one process, in several, or on a Dask cluster.

`columns.py` turns texts into the columns of a task, `tables.py` reads and writes parts in constant memory, and `job.py`
runs a job that survives being killed. `dask.py` applies the same columns to a Dask data frame.
"""
