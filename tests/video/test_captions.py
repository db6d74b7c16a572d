"""captions.py: what a person wrote arrives letter by letter, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from motion_core.errors import ClipError
from motion_core.video.captions import caption_of, read_text

WORDS = "ein Kreis fährt im Zickzack 之字形"


def caption(folder: Path, data: bytes, name: str = "clip.txt") -> Path:
    (folder / name).write_bytes(data)
    return folder / "clip.mp4"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_unicode_by_its_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """Python writes the mark with "utf-16" and "utf-32" only. UTF-32's begins with UTF-16's."""
    mark = "\ufeff" if encoding.endswith("-be") else ""
    data = f"{mark} {WORDS}\r\n".encode(encoding)
    assert caption_of(caption(tmp_path, data)) == WORDS


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("cp1252", "ein Kreis fährt"), ("gbk", "红色圆圈"), ("shift_jis", "赤い円がジグザグ")],
)
def test_other_encodings_are_refused_by_name(tmp_path: Path, encoding: str, words: str) -> None:
    path = caption(tmp_path, words.encode(encoding))
    with pytest.raises(ClipError, match=r"clip.txt is not valid UTF-8 \(byte \d+\)\. Save it"):
        caption_of(path)


def test_the_place_of_what_is_wrong(tmp_path: Path) -> None:
    """ "f" is byte 0, the lonely "ä" of cp1252 byte 1."""
    with pytest.raises(ClipError, match=r"UTF-8 \(byte 1\)"):
        read_text(caption(tmp_path, b"f\xe4hrt").with_suffix(".txt"))
    odd = "a".encode("utf-16") + b"\0"
    with pytest.raises(ClipError, match=r"clip.txt is not valid UTF-16 \(byte 4\)"):
        caption_of(caption(tmp_path, odd))


def test_utf16_without_a_mark_is_refused(tmp_path: Path) -> None:
    """Of plain letters it is valid UTF-8 with a null beside each."""
    with pytest.raises(ClipError, match=r"clip.txt contains null characters: .* UTF-16 without"):
        caption_of(caption(tmp_path, "a circle".encode("utf-16-le")))


@pytest.mark.parametrize("name", ["clip.TXT", "clip.Txt"])
def test_the_case_of_the_suffix_does_not_matter(tmp_path: Path, name: str) -> None:
    assert caption_of(caption(tmp_path, b"a circle", name)) == "a circle"
    caption(tmp_path, b"a square")
    assert caption_of(tmp_path / "clip.mp4") == "a square"


def test_a_folders_caption_has_its_whole_name(tmp_path: Path) -> None:
    (tmp_path / "walk.2").mkdir()
    (tmp_path / "walk.txt").write_text("of another")
    (tmp_path / "walk.2.txt").write_text("a walk")
    assert caption_of(tmp_path / "walk.2") == "a walk"


def test_none_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"clip.mp4 has no caption. .* clip.txt next to it"):
        caption_of(tmp_path / "clip.mp4")
    with pytest.raises(ClipError, match=r"prompt of clip.txt is empty"):
        caption_of(caption(tmp_path, "\ufeff \n".encode("utf-16-le")))
