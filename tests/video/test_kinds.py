"""kinds.py: content decides; names only say where to look."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from motion_core.errors import ClipError
from motion_core.video.clips import load_clips, load_image_clip, load_image_clips
from motion_core.video.kinds import kind_of, media_in, mistaken_for
from motion_core.video.settings import ClipSettings

from .made import converted, encode, grey_frames, make_video, numbers

SETTINGS = ClipSettings(frames=4)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def save_animation(path: Path, count: int = 4, milliseconds: int = 125) -> Path:
    frames = [Image.fromarray(frame.numpy()) for frame in grey_frames(count)]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, **lossless)
    return path


def save_picture(path: Path, level: int = 8, kind: str = "PNG") -> Path:
    Image.new("RGB", (24, 16), (level,) * 3).save(path, format=kind)
    return path


@pytest.mark.parametrize(
    ("name", "is_moving"),
    [("a.webp", True), ("b.png", True), ("c.gif", True), ("d.webp", False), ("e.gif", False)],
)
def test_pictures_that_move_are_told_from_those_that_do_not(
    tmp_path: Path, name: str, is_moving: bool
) -> None:
    path = save_animation(tmp_path / name, 4 if is_moving else 1)
    assert (kind_of(path) != "image") == is_moving
    shutil.copy(path, tmp_path / "other.jpg")
    assert kind_of(tmp_path / "other.jpg") == kind_of(path)


def test_a_gif_of_one_frame_is_a_picture(tmp_path: Path) -> None:
    """It was taken for a video that is too short."""
    path = save_animation(tmp_path / "still.gif", 1)
    (clip,) = load_clips(path, ClipSettings(), "grey")
    assert clip.is_image and numbers(clip.frames) == [0]


def test_a_video_under_the_name_of_a_picture(tmp_path: Path) -> None:
    """Pillow would refuse it; a picture called .mp4 is one, which ffmpeg would call a video."""
    path = make_video(tmp_path / "clip.mp4", count=4).rename(tmp_path / "clip.png")
    (clip,) = load_clips(path, SETTINGS, "grey")
    assert numbers(clip.frames) == [0, 1, 2, 3]
    with pytest.raises(ClipError, match=r"clip.png is a video; a single image is needed"):
        load_image_clip(path, SETTINGS, "grey")
    (image,) = load_clips(save_picture(tmp_path / "photo.mp4", kind="JPEG"), SETTINGS, "grey")
    assert image.is_image and numbers(image.frames) == [2]


def test_a_known_container_needs_no_known_suffix(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mkv", count=4).rename(tmp_path / "clip")
    assert numbers(load_clips(path, SETTINGS, "grey")[0].frames) == [0, 1, 2, 3]


def test_a_folder_is_sorted_by_content(tmp_path: Path) -> None:
    """Three animated pictures are three videos, not one clip of their first frames."""
    for name in ("a.webp", "b.png"):
        save_animation(tmp_path / name)
    make_video(tmp_path / "c.mp4", count=4).rename(tmp_path / "c.JPG")
    save_picture(tmp_path / "d.PNG")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    media = media_in(tmp_path)
    assert [path.name for path in media.videos] == ["a.webp", "b.png", "c.JPG"]
    assert [path.name for path in media.images] == ["d.PNG"]
    clips = load_clips(tmp_path, SETTINGS, "grey")
    assert [clip.source for clip in clips] == ["a.webp", "b.png", "c.JPG"]
    assert all(numbers(clip.frames) == [0, 1, 2, 3] for clip in clips)
    (still,) = load_image_clips(tmp_path, SETTINGS, "grey")
    assert still.source == "d.PNG"


@pytest.mark.parametrize("suffix", [".MP4", ".Mkv", ".WEBP", ".Png"])
def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path, suffix: str) -> None:
    lower = suffix.lower()
    made = tmp_path / f"made{lower}"
    path = save_animation(made) if lower in (".webp", ".png") else make_video(made, count=4)
    path.rename(tmp_path / f"clip{suffix}")
    (clip,) = load_clips(tmp_path, SETTINGS, "grey")
    assert numbers(clip.frames) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (LFS, "a Git LFS pointer, .*git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html><head><title>Sign in", "a web page. Download it"),
        (b"<HTML><body>404</body>", "a web page"),
        (b'{"error": "Access denied"}', "a text file"),
        (b"", "an empty file"),
        (bytes(5000), "a file of zeros, as a download leaves that was broken off"),
        (b"PK\x03\x04" + bytes(range(256)), "a ZIP archive"),
        (b"%PDF-1.7\n\xe2\xe3", "a PDF document"),
        ("#EXTM3U\n#EXTINF:10,\nhttps://example.org/ä.ts\n".encode(), "a text file"),
    ],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.png"])
def test_what_only_bears_the_name(tmp_path: Path, content: bytes, what: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ClipError, match=rf"{name} cannot be read as .*: it is {what}"):
        load_clips(path, SETTINGS, "x")
    load_folder = load_image_clips if name.endswith(".png") else load_clips
    with pytest.raises(ClipError, match=rf"{name} cannot be read as .*: it is {what}"):
        load_folder(tmp_path, SETTINGS, "x")


def test_a_text_may_end_amid_a_character(tmp_path: Path) -> None:
    """1023 bytes of one each, and then "ä", of which the first 1024 bytes hold a half."""
    path = tmp_path / "text.ts"
    path.write_text("x" * 1023 + "ä" + "x" * 100, encoding="utf-8")
    assert mistaken_for(path) == "a text file"
    path.write_bytes(b"x" * 100 + b"\xe4" + b"x" * 1000)
    assert mistaken_for(path) is None


def test_y4m_is_no_text_though_it_begins_as_one(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.y4m", b"a" * 24 * 16, "gray", (24, 16), 8, ["-pix_fmt", "gray"])
    assert path.read_bytes()[:1024].isascii()
    assert mistaken_for(path) is None and kind_of(path) == "video"


def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = save_picture(tmp_path / "cover.png")
    sound = ["-f", "lavfi", "-i", "sine=duration=0.2", "-i", str(cover), "-map", "0", "-map", "1"]
    attached = ["-c:v", "png", "-disposition:v", "attached_pic"]
    for name in ("song.m4a", "song.mp4"):
        path = converted(tmp_path / name, [*sound, *attached, "-f", "mp4"])
        with pytest.raises(ClipError, match=rf"{name} .* sound and a cover picture, but no video"):
            load_clips(path, SETTINGS, "x")


def test_a_videos_cover_is_passed_over(tmp_path: Path) -> None:
    """yt-dlp embeds thumbnails. ffmpeg lists them after the video; this has always been right."""
    clip = make_video(tmp_path / "clip.mp4", count=4)
    cover = save_picture(tmp_path / "cover.png", 200)
    both = ["-i", str(cover), "-i", str(clip), "-map", "0", "-map", "1", "-c", "copy"]
    path = converted(tmp_path / "both.mp4", [*both, "-disposition:v:0", "attached_pic"])
    (read,) = load_clips(path, SETTINGS, "grey")
    assert numbers(read.frames) == [0, 1, 2, 3]


def test_a_file_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_picture(tmp_path / "a.png")

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ClipError, match=r"a.png cannot be opened: Permission denied"):
        kind_of(path)
