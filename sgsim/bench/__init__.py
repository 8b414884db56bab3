"""What a design costs: compile time, memory, matching, updates and reading, measured here and now (docs/benchmarks.md).

Subject (environment, flows, files) ─▶ measure ─▶ Results ─▶ table, JSON, plot, comparison with a baseline
"""
