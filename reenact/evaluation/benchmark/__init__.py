"""A fixed set of synthetic people on which any method can be measured (docs/benchmark.md)."""
