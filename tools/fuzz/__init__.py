"""Random inputs, options and broken files against the promises of docs/reliability.md."""
