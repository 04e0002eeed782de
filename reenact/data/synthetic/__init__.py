"""Synthetic talking heads with exact face parameters, masks and cross-person ground truth."""
