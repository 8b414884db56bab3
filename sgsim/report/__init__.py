"""Results as text, JSON, JSONL, CSV, flow log, Parquet, SARIF and JUnit.

Nothing is computed here beyond grouping for people.
The formats are described in docs/output.md.
"""
