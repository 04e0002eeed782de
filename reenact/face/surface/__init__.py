"""The surface of the head model in a picture: drawing it, and how it moves."""
