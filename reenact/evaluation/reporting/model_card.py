"""The model card of published weights: what they are, how they were made, and how good they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reenact.errors import counted
from reenact.evaluation.reporting.prose import MODE_TITLES
from reenact.evaluation.reporting.tables import markdown_table, mode_tables, modes_of

PAPER = "https://arxiv.org/abs/2403.17217"
USE = """## Use

```python
from reenact import Reenactor

reenactor = Reenactor.load("{file}")
```

```bash
python infer.py photo.jpg video.mp4 --set weights={file}
```

**Intended for** research on face reenactment, and for animating faces whose owners agree. Results
are synthetic: the program notes it in each file that it writes. Say so where you show them.

**Not intended for** showing a person doing or saying something without that person's consent, for
deception, or for identifying people.

## Limits

- The weights animate one face at a time, from one picture. What the picture does not show, such as
  teeth or the far cheek, is invented.
- Large turns of the head, covered faces and strong make-up are worse than the tables below say.
- The tables hold for the test clips that they name. On other data the results can be worse, and
  they can differ between groups of people. The training data says who was seen in training.
- Metrics that our own tracker reads (`apd`, `aed`, `gaze_error`) favour weights that were trained
  with it.
"""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a model card says.

    name: title of the card. file: name of the weights file beside it. sha256: of that file.
    licence: identifier of the licence of the weights. data: what the weights were trained on, in a
    sentence. header: the texts in the header of the file, such as the stage and the recipe.
    training: the resolved config of the training run, if it is known. summary: the content of a
    report.json, if the weights were measured.
    """

    name: str
    file: str
    sha256: str
    licence: str
    data: str
    header: Mapping[str, str]
    training: Mapping[str, Any] | None = None
    summary: dict[str, Any] | None = None


def model_card(facts: CardFacts) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads."""
    parts = [
        "---\n"
        f"license: {facts.licence}\n"
        "library_name: diffusionact-open\n"
        "pipeline_tag: image-to-video\n"
        "tags: [face-reenactment, diffusion-autoencoder, talking-head, synthetic-media]\n"
        "---\n",
        f"# {facts.name}\n\nOne-shot face reenactment: a photo takes the pose and expression of a "
        f"video. The method is that of DiffusionAct ({PAPER}), in an open implementation.\n",
        USE.format(file=facts.file),
        _weights(facts),
        _training(facts),
        _numbers(facts.summary),
    ]
    return "\n".join(parts)


def _weights(facts: CardFacts) -> str:
    rows = {"file": facts.file, "sha256": facts.sha256, "licence": facts.licence}
    rows |= {name: _shown(text) for name, text in sorted(facts.header.items())}
    lines = [f"| {name} | `{text}` |" for name, text in rows.items()]
    return "\n".join(["## Weights\n", "| | |", "|---|---|", *lines, ""])


def _training(facts: CardFacts) -> str:
    text = f"## Training\n\nTraining data: {facts.data}\n"
    if facts.training is None:
        return text
    config = json.dumps(facts.training, indent=1, ensure_ascii=False)
    return f"{text}\n<details><summary>Config</summary>\n\n```json\n{config}\n```\n</details>\n"


def _numbers(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "## Numbers\n\nThese weights were not measured.\n"
    meta = summary["meta"]
    lines = [
        "## Numbers\n",
        f"{counted(meta['num_clips'], 'clip')} of "
        f"{counted(meta['num_people'], 'person', 'people')}, {meta['image_size']} pixels. "
        "docs/evaluation.md of the project explains the metrics. `copy_source` is the source "
        "picture itself, unchanged.\n",
    ]
    for mode in modes_of(summary):
        lines.append(f"### {MODE_TITLES[mode]}, {counted(meta['num_pairs'][mode], 'pair')}\n")
        for table in mode_tables(summary, mode).values():
            lines += [*markdown_table(table), ""]
    return "\n".join(lines)


def _shown(text: str) -> str:
    return " ".join(text.replace("|", "/").replace("`", "'").split())
