"""The contract of a carrier: where one format keeps a manifest store, and what its hash leaves out.

Media formats are c2pa's business. The carriers here are those it does not write: text, code, HTML,
SafeTensors, ONNX. Each names one place of one format; what the store in that place says, and
whether its hash holds, is decided once for all of them (`hard_binding`).
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

__all__ = ["Carrier", "Exclusion", "Layout", "Place"]


class Exclusion(NamedTuple):
    """Bytes of an asset that its hash leaves out: `length` bytes from `start`."""

    start: int
    length: int


class Place(NamedTuple):
    """A manifest store that was found in an asset.

    Attributes:
        store: The manifest store (JUMBF), as carried; empty where only `url` is.
        exclusions: What a hard binding of this place must leave out, exactly.
        url: Where a manifest that is only referred to can be fetched; empty otherwise.

    """

    store: bytes
    exclusions: tuple[Exclusion, ...]
    url: str = ""


class Layout(NamedTuple):
    """How an asset will look with a store of a given length in it.

    Attributes:
        store_bytes: The length the layout was made for.
        exclusions: What its hash leaves out.
        digest: sha256 of the rest, as the format defines it; zeros while it was not hashed yet,
            which no store fits.
        room: How many bytes of the asset the store's own place takes.

    """

    store_bytes: int
    exclusions: tuple[Exclusion, ...]
    digest: bytes
    room: int


@runtime_checkable
class Carrier(Protocol):
    """One place of one format. Sources are seekable binary files, read from their beginning."""

    name: str  # As in `ContentVerdict.carrier`.
    media_types: tuple[str, ...]

    def find(self, source: BinaryIO) -> Place | None:
        """Return the store that is carried, or None if there is none.

        Raises:
            MalformedContentError: There is a store, or several, and none that can be read.

        """

    def digest(self, source: BinaryIO, exclusions: tuple[Exclusion, ...], algorithm: str) -> bytes:
        """Return the hash of all but `exclusions`, as the format defines it.

        Args:
            source: The asset with its store.
            exclusions: In order, inside the asset, apart from each other.
            algorithm: `sha256`, `sha384` or `sha512`.

        """

    def lay_out(self, source: BinaryIO, store_bytes: int) -> Layout:
        """Return how an asset will look with a store of `store_bytes`; a store in it is replaced.

        Raises:
            MalformedContentError: The asset is not of this format.
            UnsupportedContentError: It cannot carry a store of this length.

        """

    def fits(self, layout: Layout, store: bytes) -> bool:
        """Return whether this very store fills the layout, to the byte."""

    def refine(self, source: BinaryIO, layout: Layout, store: bytes) -> Layout:
        """Return a better layout, now that a store is known that did not fit."""

    def repad(self, layout: Layout, store: bytes) -> bytes:
        """Return the store with other padding where no signature covers it, so that it fits.

        If it cannot be made to fit it comes back smaller, or as it was.
        """

    def write(self, source: BinaryIO, layout: Layout, store: bytes, sink: BinaryIO) -> None:
        """Write the asset with the store in it; `fits` has said yes."""
