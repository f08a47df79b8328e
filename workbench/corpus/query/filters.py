"""One SQL expression over the columns of a corpus, and nothing else.

The expression is parsed by DuckDB itself (``json_serialize_sql``) and its tree is walked: subqueries,
windows, aggregates, parameters, stars and any function outside the list below are refused before anything
runs. What passes runs on a connection that can neither reach files nor change its settings.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.ingest.schema import ALIASES

if TYPE_CHECKING:
    import duckdb

LONGEST = 20_000

FUNCTIONS = frozenset(
    {
        "abs", "add", "and", "array_extract", "between", "ceil", "ceiling", "coalesce", "concat",
        "concat_ws", "contains", "date_diff", "date_part", "date_trunc", "datediff", "datepart",
        "day", "dayofweek", "divide", "ends_with", "epoch", "exp", "float_divide", "floor",
        "format", "greatest", "hour", "if", "ifnull", "instr", "integer_divide", "isfinite",
        "isinf", "isnan", "jaccard", "jaro_similarity", "jaro_winkler_similarity", "lcase", "least",
        "left", "len", "length", "levenshtein", "editdist3", "damerau_levenshtein", "hamming",
        "list_contains", "list_has", "list_has_any", "list_has_all", "array_contains",
        "array_length", "list_value", "list_element", "list_extract", "ln", "log", "log10", "log2",
        "lower", "ltrim", "minute", "mod", "month", "multiply", "nfc_normalize", "not", "now",
        "nullif", "or", "ord", "position", "power", "pow", "prefix", "regexp_extract",
        "regexp_full_match", "regexp_matches", "regexp_replace", "replace", "reverse", "right",
        "round", "rtrim", "second", "sign", "split_part", "sqrt", "starts_with", "strip_accents",
        "strlen", "strpos", "struct_extract", "substr", "substring", "subtract", "suffix",
        "to_days", "today", "trim", "trunc", "ucase", "unicode", "upper", "year", "like_escape",
        "ilike_escape", "not_like_escape", "not_ilike_escape", "typeof", "try_strptime", "strptime",
        "strftime", "md5", "sha256",
    }
)  # fmt: skip
"""Scalar functions without side effects; operators such as ``+`` and ``~~`` are always allowed."""

CELLS = {
    "damerau_levenshtein": 100_000, "levenshtein": 1_000_000, "editdist3": 1_000_000,
    "jaro_similarity": 10_000_000, "jaro_winkler_similarity": 10_000_000,
}  # fmt: skip
"""Functions that compare every character of a text with every one of another, and how many such pairs one
call may look at. DuckDB looks up from its work only after some thousand rows: with more pairs it would not
stop for minutes after it was told to."""
MOST_DISTANCES = 4
"""Calls of these functions in one filter."""

_CLASSES = frozenset(
    {
        "COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "FUNCTION", "OPERATOR", "BETWEEN",
        "CASE", "CAST", "COLLATE", "TYPE",
    }
)  # fmt: skip
_REFUSED = {
    "SUBQUERY": "subqueries",
    "WINDOW": "window functions",
    "PARAMETER": "parameters",
    "STAR": "* and COLUMNS()",
    "LAMBDA": "lambdas",
}
_EMPTY_PARTS = ("modifiers", "group_expressions", "group_sets", "having", "qualify", "sample")


def check(connection: duckdb.DuckDBPyConnection, expression: str, columns: Iterable[str]) -> str:
    """The expression, safe to stand in parentheses in a WHERE.

    Args:
        connection: any DuckDB connection; nothing of it is read or changed.
        expression: what the user wrote.
        columns: names that may be used.

    Raises:
        WorkbenchError: not one plain expression, or it names columns or functions that do not exist;
            the message offers the near ones.
    """
    text = expression.strip()
    if not text:
        raise WorkbenchError("the filter is empty", hint="Write an expression such as duration > 2.")
    if len(text) > LONGEST:
        raise WorkbenchError(f"the filter is longer than {LONGEST:,} characters")
    known = {column.lower(): column for column in columns}
    distances = 0
    for node in _nodes(_parse(connection, text)):
        _check_node(node, known)
        distances += str(node.get("function_name", "")).lower() in CELLS
    if distances > MOST_DISTANCES:
        raise WorkbenchError(
            f"{distances} calls of {', '.join(CELLS)}: a filter may hold {MOST_DISTANCES}",
            hint="Filter in steps, or use frame() and pandas.",
        )
    return text


def bound_distances(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the slow functions refuse texts that are too long for them; before settings are locked."""
    for name, cells in CELLS.items():
        said = f"the texts are too long for {name}: more than {cells:,} pairs of characters"
        connection.execute(
            f"CREATE MACRO {name}(a, b) AS CASE WHEN length(a) * length(b) > {cells} "
            f"THEN error('{said}') ELSE system.main.{name}(a, b) END"
        )


def explain(error: Exception) -> str:
    """DuckDB's message without its location lines."""
    line = str(error).split("\n")[0]
    return re.sub(r"^(\w+ )*Error: ", "", line)


def _parse(connection: duckdb.DuckDBPyConnection, text: str) -> Any:
    # Without parentheses around it: "a) or (b" must fail here, not escape its place in a larger WHERE.
    query = f"SELECT 1 WHERE {text}\n"
    row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise WorkbenchError(
            f"not a filter that can be read: {str(tree.get('error_message', ''))[:160]}",
            where=repr(text[:80]),
            hint="Write one SQL expression such as target_lang = 'el-GR' AND duration > 2.",
        )
    statements: list[Any] = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    if node.get("type") != "SELECT_NODE" or any(node.get(part) for part in _EMPTY_PARTS):
        raise _refused("more than one expression", text)
    if (node.get("cte_map") or {}).get("map") or (node.get("from_table") or {}).get("type") != "EMPTY":
        raise _refused("more than one expression", text)
    if node.get("aggregate_handling", "STANDARD_HANDLING") != "STANDARD_HANDLING":
        raise _refused("grouping", text)
    return node["where_clause"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _check_node(node: dict[str, Any], known: dict[str, str]) -> None:
    kind = node["class"]
    if kind in _REFUSED:
        raise _refused(_REFUSED[kind], "")
    if kind not in _CLASSES:
        raise _refused(kind.lower().replace("_", " "), "")
    if kind == "COLUMN_REF":
        _check_column(node["column_names"], known)
    if kind == "FUNCTION":
        _check_function(node)


def _check_column(names: list[str], known: dict[str, str]) -> None:
    if names[0].lower() in known:
        return
    name = ".".join(names)
    near = _near(names[0], known)
    # Text in double quotes is a column name in SQL; saying so saves the commonest question.
    hint = f"Did you mean {', '.join(near)}?" if near else f"Columns: {', '.join(list(known.values())[:30])}."
    if re.search(r"[^\w.]", name) or not near:
        hint += " Text stands in single quotes."
    raise WorkbenchError(f"no column {name[:60]!r}", hint=hint)


def _check_function(node: dict[str, Any]) -> None:
    name = str(node["function_name"]).lower()
    if node.get("schema") or node.get("catalog") or node.get("distinct") or node.get("filter"):
        raise _refused(f"the call {name[:40]}", "")
    if name in FUNCTIONS or not re.search(r"[a-z]", name):
        return
    near = difflib.get_close_matches(name, FUNCTIONS, n=3, cutoff=0.6)
    raise WorkbenchError(
        f"the function {name[:40]!r} cannot be used in a filter",
        hint=f"Did you mean {', '.join(near)}?" if near else "Text, number, date and list functions can.",
    )


def _near(name: str, known: dict[str, str]) -> list[str]:
    wanted = name.lower()
    meant = [field for field, others in ALIASES.items() if wanted in others and field in known]
    close = difflib.get_close_matches(wanted, list(known), n=4, cutoff=0.55)
    return list(dict.fromkeys(known[n] for n in [*meant, *close]))[:4]


def _refused(what: str, text: str) -> WorkbenchError:
    return WorkbenchError(
        f"a filter holds one expression: {what} cannot be used",
        where=repr(text[:80]) if text else "",
        hint="Filter in steps with where(...).where(...), or use frame() and pandas.",
    )
