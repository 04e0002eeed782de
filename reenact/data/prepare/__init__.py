"""From raw videos to shards of tracked face crops: `python -m reenact prepare`."""
