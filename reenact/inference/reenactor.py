"""The reenactor: pictures in, pictures out. Its networks are loaded once for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from reenact.face.control import Sliders
from reenact.face.factory import FaceConfig
from reenact.face.stack import Frame, SourceFace, Watch
from reenact.inference.config import ReenactorConfig
from reenact.inference.faces import find_face, find_faces, track_face, warn_if_cut
from reenact.inference.frame_reenactor import FrameReenactor
from reenact.inference.load import load_parts
from reenact.inference.motion import Motion, SourcePose, still_motion
from reenact.inference.pictures import Frames, Picture
from reenact.inference.run_config import AnimateOptions, Choice
from reenact.inference.shipped_motions import is_shipped
from reenact.inference.video_source import driven_video
from reenact.media.animation import open_clip

Target = Motion | Picture | Iterable[Picture]
"""What drives a source; see `Reenactor.track`."""


class Reenactor(FrameReenactor):
    """Animates the face of a photo with the expression, pose and gaze of a target.

    `load`, `find`, `track`, `animate` and `pose` work on pictures. The base class adds `frames`,
    which works on found faces and tracked motions. Its own base class adds `set_source` and
    `render`, which work on face crops and face parameters.
    """

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        config: ReenactorConfig | None = None,
        device: str = "auto",
        face: FaceConfig | None = None,
    ) -> Reenactor:
        """Loads the networks.

        Args:
            weights: a file of reenactor weights; None takes those that belong to the face stack.
                For the open stack these are shipped with the package.
            config: how pictures are rendered; None, as every value in it that is None, renders as
                the weights were trained. Other values give a warning on stderr.
            device: "auto", or a torch device.
            face: which face stack reads and draws faces; None takes the open one.

        Raises:
            UserError, CheckpointError: missing or foreign files, an unknown device, and settings or
                weights that need more than the face stack can do.
        """
        config = config or ReenactorConfig()
        path = None if weights is None else Path(weights)
        return cls(*load_parts(path, face or FaceConfig(), config, device), config)

    def animate(
        self,
        photo: Picture | SourceFace[Any],
        target: Target,
        *,
        fps: float | None = None,
        source_face: Choice = "largest",
        target_face: Choice = "largest",
        smoothing: float = 1.0,
        **options: Any,
    ) -> Iterator[Frame]:
        """The face of a photo with the motion of a target, one frame for each of the target's.

        Args:
            photo: the source, or its face as `find` gives it.
            target: what `track` takes, or its motion as `track` gives it. All frames are read
                before the first result.
            fps, smoothing: see `track`.
            source_face, target_face: which of several faces, see `run_config.Choice`.
            options: the fields of `AnimateOptions`. Motions that ship with the package ("@smile")
                are relative, unless you say otherwise.

        Returns:
            A generator of frames (H, W, 3) uint8 RGB, or (H, W, 4) RGBA for the background
            "transparent".

        Raises:
            UserError: an option or a picture that cannot be used, or no face.
        """
        if isinstance(target, str) and is_shipped(target):
            options = {"motion": "relative"} | options
        chosen = AnimateOptions(**options)
        source = photo if isinstance(photo, SourceFace) else self.find(photo, which=source_face)
        motion = (
            target
            if isinstance(target, Motion)
            else self.track(target, fps, which=target_face, smoothing=smoothing)
        )
        return self.frames(source, motion, chosen)

    def animate_all(
        self,
        photo: Picture | Sequence[SourceFace[Any]],
        targets: Motion | str | Path | Sequence[Motion | str | Path],
        **options: Any,
    ) -> Iterator[Frame]:
        """Several people of one photo at a time.

        Args:
            photo: the source, whose faces are all animated, or those that `find_all` gives.
            targets: one motion for all, or one for each face; also as paths. The result is as long
                as the longest one; a shorter one holds its last frame.
            options: the fields of `AnimateOptions`; `compose` must be "photo".

        Returns:
            A generator of frames (H, W, 3) uint8 RGB. Raises UserError as `animate` does, and if
            there are neither one target nor as many as faces.
        """
        chosen = AnimateOptions(**options)
        sources = self.find_all(photo) if isinstance(photo, Picture) else photo
        several = [targets] if isinstance(targets, Motion | str | Path) else targets
        motions = [m if isinstance(m, Motion) else self.track(m) for m in several]
        return self.group_frames(sources, motions, chosen)

    def animate_video(
        self,
        source: str | Path | Iterable[Picture],
        target: Target,
        *,
        source_pose: SourcePose = "keep",
        source_face: Choice = "largest",
        target_face: Choice = "largest",
        smoothing: float = 1.0,
        **options: Any,
    ) -> Iterator[Frame]:
        """The person of a source video with the expression of a target, frame by frame.

        Args:
            source: the path of a video, or frames of one size, for example a list or a
                `VideoReader`. They are read twice; those of a generator are held in memory.
            target: as for `animate`.
            source_pose: "keep" = the head moves as in the source video, "take" = as the target's.
            source_face, target_face, smoothing: as for `animate`.
            options: the fields of `AnimateOptions`. `compose` "follow" is not possible.

        Returns:
            A generator of frames (H, W, 3) uint8 RGB at the times of the source video, until the
            shorter of the two ends. A frame without the person's face stays as it is. Raises
            UserError as `animate` does.
        """
        chosen = AnimateOptions(**options)
        if isinstance(source, str | Path):
            source = open_clip(source)
        elif iter(source) is source:
            source = list(source)
        own = self.track(
            source, where="source", which=source_face, smoothing=smoothing, role="source"
        )
        if not isinstance(target, Motion):
            target = self.track(target, which=target_face, smoothing=smoothing)
        video = driven_video(self.face, own, target, chosen, source_pose)
        return self.video_frames(video, Frames(source, "source"), chosen)

    def find(
        self, photo: Picture, where: str = "photo", *, which: Choice = "largest"
    ) -> SourceFace[Any]:
        """The face of a photo; `which` chooses one of several.

        where: names the photo in errors. Raises UserError if there is no such face in it.
        """
        face = find_face(self.face, photo, where, size=self.size, which=which)
        if self.recipe.carry_detail:
            warn_if_cut(self.face, face, where)
        return face

    def find_all(
        self, photo: Picture, where: str = "photo", *, numbers: Sequence[int] | None = None
    ) -> list[SourceFace[Any]]:
        """All faces of a photo, from left to right, or those with these numbers, in their order.

        numbers: from 1 on, see `FoundFace`. Faces that touch or overlap give a warning. Raises
        UserError if there is no face, or none with such a number.
        """
        faces = find_faces(self.face, photo, where, size=self.size, numbers=numbers)
        if self.recipe.carry_detail:
            for face in faces:
                warn_if_cut(self.face, face, where)
        return faces

    def track(
        self,
        target: Target,
        fps: float | None = None,
        *,
        where: str = "target",
        watch: Watch | None = None,
        which: Choice = "largest",
        smoothing: float = 1.0,
        role: Literal["target", "source"] = "target",
    ) -> Motion:
        """The motion of a target's face. It can be kept and used for many sources.

        Args:
            target: the path of a video, picture or motion file, or a motion that ships with the
                package ("@smile"); a single picture; or frames of one size, for example a list, an
                array (N, H, W, 3), a generator or a `VideoReader`. No frame is kept.
            fps: frames per second; None takes 25, or the times of a file or a `VideoReader`. A file
                is read at this rate, as `--fps` does it.
            where: names the target in errors.
            watch: shows the progress, see `face.stack.Watch`.
            which: chooses one of several faces, see `run_config.Choice`.
            smoothing: how much small jitter is calmed, from 0 (not at all) to 2; 1 is usual.
            role: "source" for a source video; the warnings then say what becomes of its frames.

        Raises:
            UserError: a frame that cannot be used, or no face in any frame.
        """
        return track_face(
            self.face,
            target,
            fps,
            where,
            size=self.size,
            watch=watch,
            which=which,
            smoothing=smoothing,
            role=role,
        )

    def pose(
        self,
        photo: Picture | SourceFace[Any],
        sliders: Sliders | None = None,
        *,
        source_face: Choice = "largest",
        **options: Any,
    ) -> Frame:
        """The photo with another pose and expression, without any target.

        Args:
            photo: the source, or its face as `find` gives it.
            sliders: the changes; None changes nothing.
            source_face: which of several faces, see `run_config.Choice`.
            options: the fields of `AnimateOptions`.

        Returns:
            One frame (H, W, 3) uint8 RGB. Raises UserError as `animate` does.
        """
        source = photo if isinstance(photo, SourceFace) else self.find(photo, which=source_face)
        posed = self.face.posed(source.params, sliders or Sliders())
        return next(self.frames(source, still_motion(source, posed), AnimateOptions(**options)))
