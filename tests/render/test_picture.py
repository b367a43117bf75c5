"""Files that move and files that do not: what is in them, and what happens when they cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mdtool.body.skinning import Body, posed_vertices
from mdtool.errors import MdtoolError
from mdtool.motion.motion import Motion
from mdtool.render.exhibit import exhibits
from mdtool.render.film import Film
from mdtool.render.picture import Rendered, RenderOptions, render_exhibits
from mdtool.render.video import gif_fps, write_mp4

MakeMotion = Callable[..., Motion]
Render = Callable[..., Rendered]


@pytest.fixture
def render_motions(ball_body: Body) -> Callable[..., Rendered]:
    """Draw motions as balls."""

    def render(path: Path, motions: list[Motion], options: RenderOptions, progress: Callable) -> Rendered:
        return render_exhibits(path, exhibits(motions), ball_body, options, progress)

    return render


def quiet(done: int, total: int) -> None:
    """No progress bar."""


def test_mp4_holds_the_frames_at_the_asked_rate(
    render_motions: Render, make_motion: MakeMotion, ball_body: Body, tmp_path: Path
) -> None:
    motions = [make_motion(frames=24, fps=119.88, speed=1.0), make_motion(frames=4, fps=20.0, action="short")]
    path = tmp_path / "film.mp4"
    rendered = render_motions(path, motions, RenderOptions(size=(320, 160), fps=24, workers=1), quiet)
    assert (rendered.width, rendered.height, rendered.frames) == (320, 160, 5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 24
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
    assert len(frames) == 5
    assert path.read_bytes().find(b"moov") < path.read_bytes().find(b"mdat")  # plays before it is all there
    film = Film(exhibits(motions), ball_body, 320, 160, 24.0)
    drawn = [frame.astype(int) for frame in film.pictures(1)]
    for shown, meant in zip(frames, drawn, strict=True):
        assert np.abs(shown - meant).mean() < 2.5


def test_colours_survive_the_encoder(tmp_path: Path) -> None:
    colours = [(220, 40, 40), (40, 160, 60), (60, 90, 210), (245, 245, 245)]
    picture = np.concatenate([np.full((64, 64, 3), colour, np.uint8) for colour in colours], axis=1)
    write_mp4(tmp_path / "bars.mp4", [picture] * 3, 30.0)
    with av.open(str(tmp_path / "bars.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    for k, colour in enumerate(colours):
        np.testing.assert_allclose(frame[16:48, 64 * k + 16 : 64 * k + 48].mean(axis=(0, 1)), colour, atol=4)


def test_short_clips_hold_their_last_pose(make_motion: MakeMotion, ball_body: Body) -> None:
    long, short = make_motion(frames=30, fps=10.0), make_motion(frames=5, fps=10.0, speed=1.0)
    film = Film(exhibits([long, short]), ball_body, 200, 100, 10.0, "fixed", captions=False)
    assert film.frames == 30
    first, last_of_short, later, end = film.pictures(1, [0, 4, 12, 29])
    half = slice(101, None)
    assert np.abs(first[:, half].astype(int) - last_of_short[:, half]).max() > 20
    np.testing.assert_array_equal(last_of_short[:, half], later[:, half])
    np.testing.assert_array_equal(later, end)


def test_poses_between_frames_are_interpolated(make_motion: MakeMotion, ball_body: Body) -> None:
    motion = make_motion(frames=11, fps=10.0, speed=2.0)
    film = Film(exhibits([motion]), ball_body, 64, 64, 40.0, "fixed")
    assert film.frames == 44
    pelvis = [poses[0].vertices.mean(axis=0)[2] for poses in film._poses(range(film.frames))]
    np.testing.assert_allclose(np.diff(pelvis[:41]), 0.05, atol=1e-4)
    np.testing.assert_allclose(pelvis[41:], pelvis[40], atol=1e-6)


def test_several_processes_draw_the_same_frames_in_order(make_motion: MakeMotion, ball_body: Body) -> None:
    film = Film(exhibits([make_motion(frames=20, speed=2.0)]), ball_body, 96, 64, 20.0, "fixed")
    alone, together = list(film.pictures(1)), list(film.pictures(2))
    np.testing.assert_array_equal(alone, together)
    assert len(np.unique([frame.astype(int).sum() for frame in alone])) > 10


def test_frames_are_made_only_when_asked_for(
    make_motion: MakeMotion, ball_body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long film is drawn in constant memory: skin is made a few frames ahead, not for the whole film."""
    film = Film(exhibits([make_motion(frames=2000)]), ball_body, 64, 64, 20.0)
    made = []
    monkeypatch.setattr(
        "mdtool.render.film.posed_vertices",
        lambda body, motion, frames: made.append(len(frames)) or posed_vertices(body, motion, frames),
    )
    frames = film.pictures(1)
    for _ in range(3):
        next(frames)
    assert sum(made) <= 32


def test_gif_moves_for_ever_with_few_colours(render_motions: Render, make_motion: MakeMotion, tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    rendered = render_motions(path, [make_motion(frames=8, speed=2.0)], RenderOptions(size=(160, 90), workers=1), quiet)
    with Image.open(path) as image:
        assert image.n_frames == rendered.frames == 8
        assert image.info["loop"] == 0
        assert image.info["duration"] == 50
        assert image.size == (160, 90)
        shown = []
        for frame in range(8):
            image.seek(frame)
            shown.append(np.asarray(image.convert("RGB")).astype(int))
    assert np.abs(shown[0] - shown[7]).max() > 30
    assert len(np.unique(shown[0].reshape(-1, 3), axis=0)) <= 256


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "vp9"), (".webp", "webp")])
def test_other_films_move_too(
    render_motions: Render, make_motion: MakeMotion, ball_body: Body, tmp_path: Path, suffix: str, codec: str
) -> None:
    path = tmp_path / f"film{suffix}"
    options = RenderOptions(size=(160, 90), fps=25, workers=1)
    rendered = render_motions(path, [make_motion(frames=8, speed=2.0)], options, quiet)
    assert rendered.frames == 10
    if suffix == ".webp":
        with Image.open(path) as image:
            assert (image.n_frames, image.size, image.info["loop"]) == (10, (160, 90), 0)
            shown = []
            for frame in (0, 9):
                image.seek(frame)
                shown.append(np.asarray(image.convert("RGB")).astype(int))
            assert image.info["duration"] == 40
    else:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == codec
            assert stream.average_rate == 25
            shown = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
            assert len(shown) == 10
    drawn = list(Film(exhibits([make_motion(frames=8, speed=2.0)]), ball_body, 160, 90, 25.0).pictures(1, [0, 9]))
    assert np.abs(shown[0] - drawn[0]).mean() < 4
    assert np.abs(shown[-1] - drawn[1]).mean() < 4


@pytest.mark.parametrize(("asked", "held"), [(20, 20), (30, 100 / 3), (25, 25), (60, 50), (15, 100 / 7)])
def test_gif_rates(asked: float, held: float) -> None:
    assert gif_fps(asked) == pytest.approx(held)


def test_strip_shows_every_kth_frame(render_motions: Render, make_motion: MakeMotion, tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    motions = [make_motion(frames=10, speed=1.0), make_motion(frames=4, action="short")]
    seen = []
    options = RenderOptions(strip_every=3, workers=1)
    rendered = render_motions(path, motions, options, lambda done, total: seen.append((done, total)))
    picture = np.asarray(Image.open(path)).astype(int)
    assert picture.shape == (rendered.height, rendered.width, 3)
    assert seen == [(1, 2), (2, 2)]
    assert rendered.height == 2 * 380
    tile = rendered.width // 4  # frames 0, 3, 6, 9
    saturated = np.ptp(picture, axis=2) > 60
    for row, tiles in ((0, 4), (1, 2)):
        band = saturated[row * 380 : (row + 1) * 380]
        shown = [band[:, k * tile : (k + 1) * tile].sum() > 500 for k in range(4)]
        assert shown == [k < tiles for k in range(4)]
    middle = saturated[:380, :tile].nonzero()[1].mean()  # the camera follows: every tile has its body in the middle
    for k in range(4):
        assert saturated[:380, k * tile : (k + 1) * tile].nonzero()[1].mean() == pytest.approx(middle, abs=tile / 8)


def test_single_frame(render_motions: Render, make_motion: MakeMotion, ball_body: Body, tmp_path: Path) -> None:
    path, motion = tmp_path / "frame.png", make_motion(frames=9, speed=2.0)
    render_motions(path, [motion], RenderOptions(size=(128, 96), frame=7, camera="fixed"), quiet)
    expected = next(Film(exhibits([motion]), ball_body, 128, 96, motion.fps, "fixed").pictures(1, [7]))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("film.avi", RenderOptions(), "end its name in .mp4, .webm, .gif, .webp, .png"),
        ("film", RenderOptions(), "end its name in"),
        (
            "film.mp4",
            RenderOptions(strip_every=2),
            "--strip-every makes a picture, and .*film.mp4 is a film: name a .png",
        ),
        ("film.webm", RenderOptions(style="storyboard"), "--style storyboard makes a picture"),
        ("film.png", RenderOptions(panels=4), "a strip has no panels"),
        ("film.png", RenderOptions(style="storyboard", strip_every=2), "a storyboard chooses its frames"),
        ("film.mp4", RenderOptions(show=("bones",)), "cannot show 'bones': choose from contacts, trails"),
        ("film.webp", RenderOptions(size=(321, 200)), "a .webp file needs even sizes"),
        ("film.gif", RenderOptions(frame=2), "name a .png"),
        ("film.png", RenderOptions(frame=2, strip_every=3), "not both"),
        ("film.png", RenderOptions(frame=99), "frames 0 to 3"),
        ("film.mp4", RenderOptions(size=(321, 200)), "try 320x200"),
        ("film.gif", RenderOptions(size=(10, 200)), "64 to 7680"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    render_motions: Render, make_motion: MakeMotion, tmp_path: Path, name: str, options: RenderOptions, words: str
) -> None:
    with pytest.raises(MdtoolError, match=words):
        render_motions(tmp_path / name, [make_motion(frames=4)], options, quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp", ".png"])
def test_unwritable_place(render_motions: Render, make_motion: MakeMotion, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    options = RenderOptions(size=None if suffix == ".png" else (64, 64))
    with pytest.raises(MdtoolError, match="cannot write"):
        render_motions(tmp_path / "file" / f"x{suffix}", [make_motion(frames=2)], options, quiet)


def test_a_film_that_fails_leaves_the_old_file(render_motions: Render, make_motion: MakeMotion, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"the old film")

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_motions(path, [make_motion(frames=4)], RenderOptions(size=(64, 64), workers=1), stop)
    assert path.read_bytes() == b"the old film"
    assert [item.name for item in tmp_path.iterdir()] == ["film.mp4"]
