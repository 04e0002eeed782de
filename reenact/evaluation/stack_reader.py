"""Faces read from the crops themselves by the face stack that is evaluated."""

from typing import Any

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.evaluation.render import cat_faces
from reenact.face.batch import FaceBatch
from reenact.face.stack import FaceStack


class StackReader:
    """Every crop on its own; see `render.ParamsReader`."""

    def __init__(self, face: FaceStack[Any]) -> None:
        self.face = face

    @torch.no_grad()
    def params(self, images: Tensor, fallback: FaceBatch) -> FaceBatch:
        """Raises UserError for a lost face where the stored parameters are another stack's and
        cannot stand in.
        """
        read = self.face.read_crops(images)
        rows = [(fallback[i] if face is None else face).to("cpu") for i, face in enumerate(read)]
        if len({type(row) for row in rows}) > 1:
            raise UserError(
                "params 'tracked': no face found in a crop, and the clips hold parameters of the "
                "other face stack; prepare them with the stack that is evaluated"
            )
        return cat_faces(rows)
