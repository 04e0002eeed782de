"""Self- and cross-reenactment against rendered ground truth: pairs, metrics, report."""
