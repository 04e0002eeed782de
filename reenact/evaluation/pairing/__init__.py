"""Which source frame meets which target frame: drawn pairs and pair lists."""
