"""The command line: `diffusionact COMMAND`, and the scripts at the top of the repository."""
