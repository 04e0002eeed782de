"""The note inside a result that it is synthetic, and by which tool it was made."""

import struct
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reenact.version import __version__

TOOL = f"DiffusionAct, open {__version__}"
NOTE = f"Synthetic: this face was animated by a neural network ({TOOL})"

# The term of the International Press Telecommunications Council for pictures made by a trained
# model. Image libraries, search engines and social networks read it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    f' xmp:CreatorTool="{TOOL}" Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()

DESCRIPTION_TAG, SOFTWARE_TAG = 0x010E, 0x0131  # of EXIF
XMP_FLAG = 0x04  # of a WebP file


def picture_options(suffix: str) -> dict[str, Any]:
    """Options of Pillow's `save` that put the note into a picture. BMP has no place for it."""
    exif = Image.Exif()
    exif[DESCRIPTION_TAG], exif[SOFTWARE_TAG] = NOTE, TOOL
    if suffix == ".png":
        text = PngInfo()
        text.add_text("Software", TOOL)
        text.add_text("Comment", NOTE)
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return {"pnginfo": text, "exif": exif}
    if suffix in (".jpg", ".jpeg", ".webp"):
        return {"exif": exif, "xmp": XMP}
    return {"exif": exif} if suffix in (".tif", ".tiff") else {}


def video_tags() -> dict[str, str]:
    """Tags of a video file (MP4, MOV, WebM)."""
    return {"comment": NOTE, "description": NOTE}


def add_note_to_gif(path: Path) -> None:
    """Put the note into a GIF file, as a comment before the first picture."""
    content = path.read_bytes()
    flags = content[10]
    start = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)  # after header and colour table
    note = NOTE.encode("ascii")
    comment = b"\x21\xfe" + bytes([len(note)]) + note + b"\0"
    path.write_bytes(content[:start] + comment + content[start:])


def add_note_to_webp(path: Path) -> None:
    """Put the note as XMP at the end of an animated WebP file."""
    with path.open("r+b") as file:
        head = file.read(21)
        assert head[:4] == b"RIFF"
        assert head[12:16] == b"VP8X"
        chunk = b"XMP " + struct.pack("<I", len(XMP)) + XMP + b"\0" * (len(XMP) % 2)
        file.seek(20)
        file.write(bytes([head[20] | XMP_FLAG]))
        file.seek(0, 2)
        file.write(chunk)
        file.seek(4)
        file.write(struct.pack("<I", struct.unpack_from("<I", head, 4)[0] + len(chunk)))
