"""From tracked points to `FaceParams`: a ridge-regularised Gauss-Newton fit of the head model."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel, project
from reenact.face.open.gaze import gaze_from_pupils
from reenact.face.open.tracker import TrackedFaces
from reenact.face.open.tracker_offsets import tracker_offsets
from reenact.face.params import CAMERA_DISTANCE, CAMERA_PLANE, FaceParams
from reenact.face.points import LANDMARKS_68, landmarks_from_points
from reenact.face.points import pupils_from_points as tracked_pupils
from reenact.face.pose import euler_angles, fit_rotation

_KEPT = ("eyeLook", "cheekPuff", "tongueOut", "jawForward")
"""Expressions that the 68 points cannot tell: the tracker's scores stay as they are."""
_LOOSE = (
    "jawOpen",
    "mouthClose",
    "eyeBlink",
    "eyeWide",
    "mouthSmile",
    "mouthPucker",
    "mouthFunnel",
    "brow",
)
"""Expressions that the landmarks show well: they may leave the tracker's scores by more."""
_LIDS = (37, 38, 40, 41, 43, 44, 46, 47)
_EYE_CORNERS = (36, 39, 42, 45)
# The tracker gives these scores to neutral faces too, rendered and real ones alike.
_SCORE_AT_REST = {"browDown": 0.25, "eyeSquint": 0.4, "eyeBlink": 0.05}
# Its score of a closed eye stays near 0.7.
_BLINK_GAIN = 1.4


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How much the fit trusts the landmarks, the tracker's scores and the mean face.

    noise: expected error of a landmark in dm (a head is about 1.6 dm wide).
    *_weight: how much the landmarks of a part count. Lids count little: the tracker puts closed
        lids elsewhere than the head model, and the head would turn to make up for it.
    *_std: standard deviations of the priors. Rotations (radians) lie around the rotation read from
        the tracker's depth, expression coefficients around the tracker's scores, identity
        coefficients around the mean (their own spread is 1).
    """

    num_iters: int = 8
    noise: float = 0.015
    jaw_weight: float = 0.05
    brow_weight: float = 1.0
    nose_weight: float = 3.0
    eye_corner_weight: float = 3.0
    lid_weight: float = 0.5
    lip_weight: float = 5.0
    rotation_std: float = 0.3
    expression_std: float = 0.07
    loose_expression_std: float = 0.18
    identity_std: float = 2.0
    pose_steps: int = 3


def fit_params(
    tracked: TrackedFaces,
    head_model: HeadModel,
    identity: Tensor | None = None,
    num_iters: int | None = None,
    *,
    shared_identity: bool = False,
    config: FitConfig | None = None,
) -> FaceParams:
    """Fit every tracked face (also those not found, whose result is finite but meaningless).

    `identity` (80,) or (B, 80): held fixed; otherwise fitted, one per face, or one for all with
    `shared_identity` (from the faces that were found). Runs in float64 on the CPU, without
    gradients; the result is float32 on the tracker's device.
    """
    points = tracked.points.detach().cpu().double()
    params = fit_landmarks(
        landmarks_from_points(points),
        expression_from_scores(tracked.blendshapes.detach().cpu()),
        rotation_from_depth(points, head_model),
        head_model,
        pupils=tracked_pupils(points),
        identity=identity,
        shared=tracked.found.cpu() if shared_identity else None,
        offsets=tracker_offsets(),
        num_iters=num_iters,
        config=config,
    )
    return params.to(tracked.points.device)


def expression_from_scores(scores: Tensor) -> Tensor:
    """The tracker's scores (B, 52) -> expression coefficients (B, 52) of the head model."""
    rest = [
        next((v for k, v in _SCORE_AT_REST.items() if n.startswith(k)), 0.0)
        for n in EXPRESSION_NAMES
    ]
    gain = [_BLINK_GAIN if n.startswith("eyeBlink") else 1.0 for n in EXPRESSION_NAMES]
    base = scores.new_tensor(rest)
    return ((scores - base) / (1 - base) * scores.new_tensor(gain)).clamp(0, 1)


def rotation_from_depth(points: Tensor, head_model: HeadModel) -> Tensor:
    """Tracked points (B, 478, 3) -> yaw, pitch, roll (B, 3): the rigid fit of the mean head."""
    up = points[:, list(LANDMARKS_68)] * points.new_tensor([1.0, -1.0, -1.0])
    weight = torch.full((68,), 0.1, dtype=points.dtype)
    weight[27:36] = weight[[36, 39, 42, 45]] = 1.0  # nose and eye corners hardly deform
    weight[[0, 16]] = 0.5
    canonical = head_model.landmark_mean.to(points) + tracker_offsets().to(points)
    return euler_angles(fit_rotation(up, canonical, weight))


@torch.no_grad()
def fit_landmarks(
    landmarks: Tensor,
    blendshapes: Tensor,
    rotation: Tensor,
    head_model: HeadModel,
    *,
    pupils: Tensor | None = None,
    identity: Tensor | None = None,
    shared: Tensor | None = None,
    offsets: Tensor | None = None,
    num_iters: int | None = None,
    config: FitConfig | None = None,
) -> FaceParams:
    """Fit landmarks (B, 68, 2) px, starting from blendshapes (B, 52) and rotation (B, 3).

    `shared` (B,) bool: one identity for the batch, drawn from the faces marked True. `offsets`
    (68, 3) dm: where on the unposed head the given landmarks lie beside the model's own.
    """
    config = config or FitConfig()
    problem = _Problem(landmarks, blendshapes, rotation, head_model, config)
    if offsets is not None:
        problem.head.landmark_mean += offsets.to(problem.head.landmark_mean)
    problem.start(identity)
    for i in range(num_iters or config.num_iters):
        pose_only = i < config.pose_steps
        problem.step(pose_only=pose_only, fixed=identity is not None or pose_only, shared=shared)
    params = problem.params()
    if pupils is not None:
        gaze = gaze_from_pupils(params, pupils.cpu().double(), problem.target, problem.head)
        params = FaceParams(**(params.tensors() | {"gaze": gaze}))
    return params.to(torch.float32)


class _Problem:
    """State and one damped Gauss-Newton step. Residuals are in dm, so the priors are too.

    Per face: 3 angles, translation, log scale, the free expressions (block F); and the identity
    (block I), per face or one for all, solved by the Schur complement of F.
    """

    def __init__(
        self,
        landmarks: Tensor,
        blendshapes: Tensor,
        rotation: Tensor,
        head_model: HeadModel,
        config: FitConfig,
    ) -> None:
        self.config = config
        self.head = copy.deepcopy(head_model).cpu().double()
        self.target = landmarks.detach().cpu().double()
        self.expression_prior = blendshapes.cpu().double().clamp(0, 1)
        self.rotation_prior = rotation.cpu().double()
        names = EXPRESSION_NAMES
        free = [k for k, n in enumerate(names) if not n.startswith(_KEPT)]
        self.free = torch.tensor(free)
        stds = [
            config.loose_expression_std if names[k].startswith(_LOOSE) else config.expression_std
            for k in free
        ]
        self.expression_precision = torch.tensor(stds).double().pow(-2)
        weight = torch.ones(68, dtype=torch.float64)
        weight[:17] = config.jaw_weight
        weight[17:27] = config.brow_weight
        weight[27:36] = config.nose_weight
        weight[list(_EYE_CORNERS)] = config.eye_corner_weight
        weight[list(_LIDS)] = config.lid_weight
        weight[48:] = config.lip_weight
        self.weight = weight / config.noise**2 / 10  # neighbouring points err together

    def start(self, identity: Tensor | None) -> None:
        count = len(self.target)
        self.identity = torch.zeros(count, 80, dtype=torch.float64)
        if identity is not None:
            self.identity = identity.detach().cpu().double().expand(count, -1).clone()
        self.expression = self.expression_prior.clone()
        self.rotation = self.rotation_prior.clone()
        self.translation = torch.zeros(count, 2, dtype=torch.float64)
        self.scale = torch.ones(count, dtype=torch.float64)
        # Best scale and shift of the posed head: weighted least squares.
        flat = self.head.landmarks(self.params())
        w = (self.weight / self.weight.sum())[:, None]
        mean_model, mean_seen = (w * flat).sum(1), (w * self.target).sum(1)
        a, b = flat - mean_model[:, None], self.target - mean_seen[:, None]
        scale = (w * a * b).sum((1, 2)) / (w * a * a).sum((1, 2))
        size = ((w * b * b).sum((1, 2)) / (w * a * a).sum((1, 2))).sqrt()
        self.scale = torch.maximum(scale, 0.5 * size).clamp_min(1e-3)
        self.translation = mean_seen - self.scale[:, None] * mean_model

    def params(self) -> FaceParams:
        return FaceParams(
            identity=self.identity,
            expression=self.expression,
            rotation=self.rotation,
            translation=self.translation,
            scale=self.scale,
            gaze=torch.zeros(len(self.target), 2, dtype=torch.float64),
        )

    def step(self, *, pose_only: bool, fixed: bool, shared: Tensor | None) -> None:
        residual, jac = self._linearise_pose()
        identity = None if fixed else self._linearise_shape(self.head.landmark_identity)
        if not pose_only:
            axes = self.head.landmark_expression[self.free]
            jac = torch.cat([jac, self._linearise_shape(axes)], -1)
        weight = self.weight.repeat_interleave(2)
        weighted = jac.mT * weight
        precision = torch.zeros(jac.shape[-1], dtype=torch.float64)
        precision[:3] = self.config.rotation_std**-2
        precision[3:6] = 1e-6
        away = torch.zeros(len(jac), jac.shape[-1], dtype=torch.float64)
        away[:, :3] = _wrapped(self.rotation_prior - self.rotation)
        if not pose_only:
            precision[6:] = self.expression_precision
            away[:, 6:] = (self.expression_prior - self.expression)[:, self.free]
        hessian = weighted @ jac + torch.diag(precision)
        gradient = (weighted @ residual[..., None])[..., 0] + precision * away
        if identity is None:
            self._move(torch.linalg.solve(hessian, gradient))
            return
        # The Schur complement eliminates the face's own unknowns from the identity's equations.
        heavy, coupled = identity.mT * weight, weighted @ identity
        solved = torch.linalg.solve(hessian, torch.cat([coupled, gradient[..., None]], -1))
        schur = heavy @ identity - coupled.mT @ solved[..., :-1]
        right = (heavy @ residual[..., None] - coupled.mT @ solved[..., -1:])[..., 0]
        change = self._identity_change(schur, right, shared)
        self.identity = self.identity + change
        self._move(solved[..., -1] - (solved[..., :-1] @ change[..., None])[..., 0])

    def _identity_change(self, schur: Tensor, right: Tensor, shared: Tensor | None) -> Tensor:
        """Identity's equations (B, 80, 80), (B, 80) -> its change (B, 80)."""
        if shared is not None:
            # The mean over the faces, not their sum: their errors are alike, not independent.
            chosen = shared if shared.any() else torch.ones_like(shared)
            schur, right = schur[chosen].mean(0, keepdim=True), right[chosen].mean(0, keepdim=True)
        precision = self.config.identity_std**-2
        schur = schur + precision * torch.eye(schur.shape[-1], dtype=torch.float64)
        right = right - precision * self.identity[: len(right)]
        return torch.linalg.solve(schur, right).expand(len(self.target), -1)

    def _move(self, change: Tensor) -> None:
        turn = change[:, :3].clamp(-0.3, 0.3)
        self.rotation = _wrapped(self.rotation + turn)
        self.translation = self.translation + change[:, 3:5] * self.scale[:, None]
        self.scale = self.scale * change[:, 5].clamp(-0.3, 0.3).exp()
        if change.shape[1] > 6:
            self.expression = self.expression.clone()
            self.expression[:, self.free] += change[:, 6:]
            self.expression = self.expression.clamp(0, 1)

    def _linearise_pose(self) -> tuple[Tensor, Tensor]:
        """Residual (B, 136) in dm; Jacobian (B, 136, 6) for angles, translation, log scale."""
        head = self.head
        shaped = head.landmarks_shaped(self.identity, self.expression)
        self.posed = head.landmarks_posed(shaped, self.rotation)
        seen = project(self.posed, self.translation, self.scale)
        unit = self.scale[:, None, None]
        residual = ((self.target - seen) / unit).flatten(1)

        columns = []
        for axis in range(3):
            step = torch.zeros(3, dtype=torch.float64)
            step[axis] = 1e-5
            moved = head.landmarks_posed(shaped, self.rotation + step)
            change = project(moved, self.translation, self.scale) - seen
            columns.append((change / unit / 1e-5).flatten(1))
        eye = torch.eye(2, dtype=torch.float64).repeat(68, 1).expand(len(seen), -1, -1)
        zoom = ((seen - self.translation[:, None]) / unit).flatten(1)
        return residual, torch.cat([torch.stack(columns, -1), eye, zoom[..., None]], -1)

    def _linearise_shape(self, axes: Tensor) -> Tensor:
        """Jacobian (B, 136, K) for K axes (K, 68, 3) of the unposed landmarks."""
        turned = self.head.axes_posed(axes, self.rotation)  # (B, K, 68, 3)
        w = CAMERA_DISTANCE / (CAMERA_DISTANCE - (self.posed[..., 2] - CAMERA_PLANE))
        # d(w x) = w dx + x w^2 / 11 dz, and y flipped.
        flip = torch.tensor([1.0, -1.0], dtype=torch.float64)
        slope = (w * w / CAMERA_DISTANCE)[..., None] * self.posed[..., :2]
        moved = w[:, None, :, None] * turned[..., :2] + slope[:, None] * turned[..., 2:]
        return (moved * flip).flatten(2).mT


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
