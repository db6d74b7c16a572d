"""Shape world's own byte-pair vocabulary, in the file format of open_clip's `SimpleTokenizer`.

CLIP's 49,408 tokens would fill the weights' whole budget. Every word of the base captions is one
token here; any other text, the names of the reference motions included, falls apart into pieces
that no base has been taught.
"""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer

from .renderer import BACKGROUNDS, COLOURS, SHAPES

VOCABULARY_FILE = Path(__file__).parent / "weights" / "vocabulary.txt.gz"
MOTION_WORDS = "resting moving right left up down gliding along an arc drifting in a gentle wave"


def caption_words() -> list[str]:
    """Every word that a base caption can hold."""
    words = ["a", "on", "background", *COLOURS, *SHAPES, *BACKGROUNDS, *MOTION_WORDS.split()]
    return list(dict.fromkeys(words))


def byte_pair_merges(words: list[str]) -> list[tuple[str, str]]:
    """The merges, most frequent pair first (then alphabetical), after which every word is one
    token."""
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while any(len(pieces) > 1 for pieces in spelled):
        pairs = Counter(pair for pieces in spelled for pair in itertools.pairwise(pieces))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_merged(pieces, best) for pieces in spelled]
    return merges


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def write_vocabulary(path: Path = VOCABULARY_FILE) -> None:
    """Writes the merges as `SimpleTokenizer` reads them: gzipped text under one line of heading."""
    lines = [
        "#version: shape world",
        *(" ".join(pair) for pair in byte_pair_merges(caption_words())),
    ]
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write("\n".join(lines).encode("utf-8"))


def load_tokenizer(path: Path = VOCABULARY_FILE, context_length: int = 32) -> SimpleTokenizer:
    """open_clip's tokenizer over shape world's vocabulary."""
    return SimpleTokenizer(bpe_path=str(path), context_length=context_length)
