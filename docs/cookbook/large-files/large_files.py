"""Copies a large export from one service to another, never through memory."""

import hashlib
import sys
from pathlib import Path

import attrs

from nexus_connector import Connector


@attrs.frozen
class Stored:
    """What the archive says of a file it took."""

    bytes: int
    sha256: str


def download(connector: Connector, name: str, target: Path) -> str:
    """Write an export to a file and return its checksum; a part has another name."""
    reports, path = connector.service("reports"), {"name": name}
    part, digest = target.with_suffix(".part"), hashlib.sha256()
    with (
        reports.stream("/exports/{name}", path_values=path) as stream,
        part.open("wb") as file,
    ):
        for piece in stream:
            digest.update(piece)
            file.write(piece)
    part.replace(target)
    return digest.hexdigest()


def upload(connector: Connector, source: Path) -> Stored:
    """Send a file, which is read while it is sent, and again for another attempt."""
    archive, path = connector.service("archive"), {"name": source.name}
    return archive.put("/files/{name}", path_values=path, content=source, into=Stored)


def main(name: str) -> None:
    """Copy an export, and compare what arrived with what left."""
    target = Path(f"export-{name}.bin")
    with Connector.from_file() as connector:
        checksum = download(connector, name, target)
        print(f"downloaded {target.stat().st_size:,} bytes")
        stored = upload(connector, target)
        print(f"uploaded {stored.bytes:,} bytes, the same: {stored.sha256 == checksum}")
    target.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
