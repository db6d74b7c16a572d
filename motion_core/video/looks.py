"""ffmpeg's filters that bring a video's pictures to what is learned from: square pixels, SDR.

HDR: the white of ordinary pictures has 203 nits in PQ and HLG (ITU-R BT.2408). It is brought to 1;
up to 0.75 of it light is kept, so that what has been graded for SDR comes back as it was, and what
is brighter, up to 1000 nits, is compressed into the rest (the curve "mobius" of ffmpeg's tonemap).
Then sRGB, as in pictures.
"""

from __future__ import annotations

import logging

from .ffmpeg import has_filters
from .header import Header

logger = logging.getLogger(__name__)

_WHITE_NITS = 203
_PEAK_NITS = 1000
_KEPT = 0.75
_RETAG = "ffmpeg -i {name} -c copy -bsf:v hevc_metadata=transfer_characteristics=16 new.mp4"


def look_filters(header: Header) -> list[str]:
    """What is to be done to each picture, in order."""
    filters = _to_sdr(header.colours) if header.hdr in ("PQ", "HLG") and has_tone_mapping() else []
    if not header.square:
        filters.append("scale=w='round(iw*max(sar,1))':h='round(ih/min(sar,1))',setsar=1")
    return filters


def say_looks(header: Header, name: str) -> None:
    """Into the log, what is done to the pictures, and what would have to be but cannot."""
    if header.interlaced:
        logger.info("%s is interlaced: it is deinterlaced (bwdif), one frame for two fields.", name)
    if not header.square:
        height, width = header.size
        logger.info("%s does not have square pixels: it is scaled to %dx%d.", name, width, height)
    if header.hdr == "unknown":
        logger.warning(
            "%s has wide colours (BT.2020) but does not say how bright they are. If it is HDR, its "
            "colours are too dull here; convert it to SDR, or mark it as HDR (for PQ: %s).",
            name,
            _RETAG.format(name=name),
        )
    elif header.hdr and has_tone_mapping():
        logger.info("%s is HDR (%s): it is brought to SDR.", name, header.hdr)
    elif header.hdr:
        logger.warning(
            "%s is HDR (%s), and this ffmpeg has no filters to bring it to SDR (zscale, tonemap): "
            "its colours are too dull here. Convert it to SDR.",
            name,
            header.hdr,
        )


def has_tone_mapping() -> bool:
    return has_filters("zscale", "tonemap")


def _to_sdr(colours: str) -> list[str]:
    """colours: "matrix/primaries/transfer" or what they have in common; what is unknown of the
    first two is BT.2020, the only ones that HDR comes with.
    """
    matrix, primaries, _ = [*colours.split("/"), "", ""][:3]
    unknown = [
        f"{name}={usual}"
        for name, given, usual in (
            ("colorspace", matrix, "bt2020nc"),
            ("color_primaries", primaries, "bt2020"),
        )
        if given == "unknown"
    ]
    return [
        *([f"setparams={':'.join(unknown)}"] if unknown else []),
        f"zscale=transfer=linear:npl={_WHITE_NITS}",
        "format=gbrpf32le",
        "zscale=primaries=bt709",
        f"tonemap=mobius:param={_KEPT}:peak={_PEAK_NITS / _WHITE_NITS:.6f}:desat=0",
        "zscale=transfer=iec61966-2-1:matrix=gbr:range=pc",
        "format=gbrp",
    ]
