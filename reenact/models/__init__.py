"""Networks trained or used by the training losses."""
