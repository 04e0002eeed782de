"""The notebook runs from its first cell to its last, without Jupyter."""

import json
from pathlib import Path

import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebooks" / "quickstart.ipynb"


@pytest.mark.slow
def test_the_quickstart_notebook_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    notebook = json.loads(NOTEBOOK.read_text())
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "the notebook is stored without results"
            exec("".join(cell["source"]), names)
    assert len(names["frames"]) == 12
    assert names["reconstruction_error"] < 0.05
    assert 0 == names["changes"][0] < names["changes"][1] < names["changes"][2]
    assert names["num_steps"] == 20
    assert names["adapter"].stat().st_size < 2e6
    assert np.shape(names["after"]) == np.shape(names["frames"])
    assert 0.005 < names["difference"] < 0.2, "trained a little, and still a picture of the face"
