"""The three training stages and their loop."""
