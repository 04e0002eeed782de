"""The face stack of the released DiffusionAct weights."""
