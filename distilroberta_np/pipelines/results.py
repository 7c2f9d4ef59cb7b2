"""`Results`: the list that a call returns, which notebooks show as a table and pandas takes as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, TypeVar

Item = TypeVar("Item")

_SHOWN_ROWS = 20


class Results(list[Item]):
    """The results of a call: a list; copies and pickles of it are plain lists.

    Args:
        results: one per input; or the result for a single input, if that is a list.
        single: whether they are the latter.
    """

    def __init__(self, results: Iterable[Item] = (), *, single: bool = False) -> None:
        super().__init__(results)
        self._single = single

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)

    def to_records(self) -> list[dict[str, Any]]:
        """A dict per prediction, label, entity or answer, for `pandas.DataFrame`.

        `input` is the index of the input, if there are several; `mask` that of the mask, if an input has several.
        """
        inputs: list[Any] = [self] if self._single else self
        each = [parts if isinstance(parts, list) else [parts] for parts in inputs]
        masks = any(isinstance(part, list) for parts in each for part in parts)
        rows = []
        for index, parts in enumerate(each):
            several = any(isinstance(part, list) for part in parts)
            for mask, predictions in enumerate(parts if several else [parts]):
                where = ({} if self._single else {"input": index}) | ({"mask": mask} if masks else {})
                for row in predictions:
                    rows.append({**where, **(row if isinstance(row, Mapping) else {"value": row})})
        return rows

    def _repr_html_(self) -> str:
        records = self.to_records()
        columns = list(dict.fromkeys(name for record in records for name in record))
        rows = [[_cell(record.get(name, "")) for name in columns] for record in records[:_SHOWN_ROWS]]
        table = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        more = f"<p>{len(records):,} rows, {_SHOWN_ROWS} shown</p>" if len(records) > _SHOWN_ROWS else ""
        heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{table}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))
