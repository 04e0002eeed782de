"""What is evaluated: our reenactor, or the result files of any other method."""
