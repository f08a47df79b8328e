"""The table: DuckDB over Parquet, filters that users type, and the numbers that big jobs count with."""
