"""Synthetic motions in the raw layout of UESTC, as its users have it: names, counts, VIBE's output, Kinect skeletons.

made = write_raw_uestc("raw", clips_per_action=60)      # then: mdtool preprocess uestc raw
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mdtool.atomic import replacing, require_writable, write_text
from mdtool.data.synthetic.camera import film, kinect_skeleton, vibe_track
from mdtool.data.synthetic.passers_by import Tracked, track_people
from mdtool.data.synthetic.performer import Take
from mdtool.data.synthetic.stand_ins import UESTC_STAND_INS, perform
from mdtool.data.threads import one_thread
from mdtool.data.uestc import CACHE, FPS, SUBJECTS, TRAIN_SUBJECTS
from mdtool.data.uestc_tracks import SKELETONS, TRACKS
from mdtool.data.vibe_tracks import Track
from mdtool.errors import MdtoolError
from mdtool.motion.action_names import UESTC_ACTIONS
from mdtool.motion.motion import TEST, TRAIN, Motion

FILES = (
    "info/names.txt",
    "info/num_frames_min.txt",
    "info/action_classes.txt",
    CACHE,
    TRACKS,
    SKELETONS,
)
VIEWS = 8
_ACTION_STREAM, _CAMERA_STREAM = 100, 2
"""Keys of chance, apart from those of the ten exercises."""
_FRAMES, _LONG_FRAMES, _SHORT_FRAMES = (90, 150), (180, 300), (30, 44)
_SHORT_EVERY = 17
"""Every so many takes one is shorter than the 45 frames that training asks for."""
_PICKLE_PROTOCOL = 3  # what the Python of the originals wrote


def _in_turn() -> list[int]:
    """All subjects, those for training and those for testing evenly mixed."""
    train, test = sorted(TRAIN_SUBJECTS), sorted(set(range(1, SUBJECTS + 1)) - TRAIN_SUBJECTS)
    place = {group[rank]: (rank + 0.5) / len(group) for group in (train, test) for rank in range(len(group))}
    return sorted(place, key=place.__getitem__)


_TURNS = _in_turn()


@dataclass(frozen=True)
class Video:
    """One video, and what is true of it."""

    name: str
    motion: Motion
    """What was performed, in the world of the motion file, cut to the frames that count."""
    frames: int
    """Frames of the whole video; the last ones may not count."""
    view: int
    side: int
    tracked: Tracked


def write_raw_uestc(
    folder: str | Path,
    clips_per_action: int,
    seed: int = 0,
    on_video: Callable[[], None] = lambda: None,
) -> list[Video]:
    """Write all files of FILES below `folder`, for all 40 actions; the exercises are stand-ins.

    Each take is filmed by the front camera (c1) and by the one at its view (c2), as the originals are; in view 8 the
    second camera goes round the performer. A take of one action is the same however many others are made.

    Args:
        clips_per_action: videos per action, 2 per take.
        on_video: called after each video, for progress.

    Returns:
        The videos in the order of info/names.txt.

    Raises:
        MdtoolError: files of that name are there already, the folder cannot be written, or senseless numbers.
    """
    folder = Path(folder)
    most = SUBJECTS * VIEWS * 2
    if not 1 <= clips_per_action <= most:
        raise MdtoolError(f"cannot make {clips_per_action} videos per action: UESTC's layout has room for 1 to {most}")
    if seed < 0:
        raise MdtoolError(f"cannot use the seed {seed}: give 0 or more")
    for name in FILES:
        if (folder / name).exists():
            raise MdtoolError(f"{folder / name} exists already; give an empty folder, so that no data set is lost")
    require_writable(folder / FILES[0])
    require_writable(folder / FILES[-1])
    videos: list[Video] = []
    refined: dict[str, list[np.ndarray]] = {}
    everybody: list[dict[int, dict[str, np.ndarray | None]]] = []
    with replacing(folder / SKELETONS) as temporary, tarfile.open(temporary, "w") as skeletons:
        for video, performer, skeleton in _videos(clips_per_action, seed):
            videos.append(video)
            for name, values in performer.items():
                refined.setdefault(name, []).append(values)
            # VIBE has the key, without content, where it runs on boxes instead of 2-D joints.
            everybody.append({key: {**track, "joints2d": None} for key, track in video.tracked.tracks.items()})
            _add_mat(skeletons, f"mat_from_skeleton/{video.name.replace('color.avi', 'skeleton.mat')}", skeleton)
            on_video()
    _write_pickle(folder / CACHE, refined)
    _write_pickle(folder / TRACKS, everybody)
    write_text(folder / "info" / "names.txt", "".join(f"{video.name}\n" for video in videos))
    write_text(folder / "info" / "num_frames_min.txt", "".join(f"{_counted(video)}\n" for video in videos))
    write_text(folder / "info" / "action_classes.txt", "".join(f"{name}\n" for name in UESTC_ACTIONS))
    return videos


def cast(action: int, take: int) -> tuple[int, int]:
    """(subject, view) of a take: train and test subjects in turn, all views, no pair twice within an action."""
    return _TURNS[(take // VIEWS + 3 * action) % SUBJECTS], 1 + (take + action) % VIEWS


def _videos(clips_per_action: int, seed: int) -> Iterator[tuple[Video, Track, np.ndarray]]:
    """Each video, the performer's complete track, and the Kinect's skeleton [T, 25, 3]."""
    passer_by: Motion | None = None
    with one_thread():
        for action, (name, stand_in) in enumerate(UESTC_STAND_INS.items()):
            for number in range(-(-clips_per_action // 2)):
                subject, view = cast(action, number)
                frames = _LONG_FRAMES if view == VIEWS else _FRAMES
                if number % _SHORT_EVERY == _SHORT_EVERY - 1:
                    frames = _SHORT_FRAMES
                take = Take(seed, _ACTION_STREAM + action, number, FPS, frames)
                motion = replace(
                    perform(stand_in, take, subject, seed),
                    action=name,
                    split=TRAIN if subject in TRAIN_SUBJECTS else TEST,
                    subject=f"p{subject:03d}",
                )
                passer_by = passer_by or motion
                for side in (1, 2)[: clips_per_action - 2 * number]:
                    rng = np.random.default_rng([seed, _CAMERA_STREAM, action, number, side])
                    yield _video(motion, (action, view, subject, side), passer_by, rng)
                passer_by = motion


def _video(
    motion: Motion, numbers: tuple[int, int, int, int], passer_by: Motion, rng: np.random.Generator
) -> tuple[Video, Track, np.ndarray]:
    """Film one take with one camera."""
    action, view, subject, side = numbers
    name = f"a{action}_d{view}_p{subject:03d}_c{side}_color.avi"
    filmed = film(motion, _turn_rad(view, side, len(motion)))
    performer = vibe_track(filmed, rng)

    def stranger(rng: np.random.Generator) -> Track:
        aside_m = (float(rng.choice([-1, 1]) * rng.uniform(1.3, 1.9)), float(rng.uniform(-0.5, 0.8)))
        return vibe_track(film(passer_by, np.array(rng.uniform(-np.pi, np.pi)), aside_m), rng)

    tracked = track_people(performer, stranger, rng)
    uncounted = int(rng.integers(0, 4)) if rng.random() < 0.3 else 0
    counted = motion.slice(0, len(motion) - uncounted)
    video = Video(name, replace(counted, name=name), len(motion), view, side, tracked)
    return video, performer, kinect_skeleton(filmed, rng)


def _turn_rad(view: int, side: int, frames: int) -> np.ndarray:
    """How far a camera's picture is turned: the second one stands 45 degrees further on for each view."""
    if side == 1:
        return np.zeros(1)
    if view == VIEWS:
        return np.linspace(0, 2 * np.pi, frames)
    return np.array([view * np.pi / 4])


def _counted(video: Video) -> int:
    """The line of info/num_frames_min.txt; the originals' bounds are often beyond what VIBE saw."""
    return len(video.motion) if len(video.motion) < video.frames else video.frames + video.frames % 3


def _add_mat(archive: tarfile.TarFile, name: str, skeleton: np.ndarray) -> None:
    from scipy.io import savemat

    content = io.BytesIO()
    savemat(content, {"v": skeleton.reshape(len(skeleton), -1).astype(np.float32)})
    member = tarfile.TarInfo(name)
    member.size = content.tell()
    content.seek(0)
    archive.addfile(member, content)


def _write_pickle(path: Path, value: object) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        pickle.dump(value, stream, protocol=_PICKLE_PROTOCOL)
