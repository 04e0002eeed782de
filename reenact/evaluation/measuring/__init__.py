"""From pictures to numbers: the metrics, the networks behind them, the records and the summary."""
