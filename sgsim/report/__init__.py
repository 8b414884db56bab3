"""Results as text, JSON, JSONL, CSV, flow log and Parquet. Nothing is computed here beyond grouping for people.

The formats are described in docs/output.md.
"""
