"""Which files have comments, how those are written, and what their first line is reserved for.

Formats with a place of their own for manifests are not here (HTML, SVG, TTML), nor are those
without comments (JSON, CSV), nor those in which a line of kilobytes is a fault (batch files).
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import NamedTuple

__all__ = ["PAIRS", "CommentStyle", "first_line_is_reserved", "style_of"]


class CommentStyle(NamedTuple):
    """How one kind of file writes a comment.

    Attributes:
        prefix: What begins the comment.
        suffix: What ends it; empty where the line's end does.
        front_matter: Whether a file may begin with fenced front matter, where a manifest goes.

    """

    prefix: str
    suffix: str = ""
    front_matter: bool = False


_HASH = CommentStyle("#")
_SLASHES = CommentStyle("//")
_DASHES = CommentStyle("--")
_SEMICOLON = CommentStyle(";")
_PERCENT = CommentStyle("%")
# A.9.4.1: what tells tools to keep a comment should be used where there is such a thing.
_KEPT = CommentStyle("/*!", "*/")
_MARKDOWN = CommentStyle("<!--", "-->", front_matter=True)
# XML allows no "--" inside a comment, and C2PA's delimiters have ten of them: a block in XML
# comments, as A.9.4.3 shows it, makes a file that no XML parser reads. In a processing instruction
# it is found just as well, since readers look for the delimiters alone (A.9.4.1).
_INSTRUCTION = CommentStyle("<?c2pa", "?>")
_NOTE = CommentStyle("NOTE")
_PASCAL = CommentStyle("(*", "*)")

# Suffixes or whole names, in small letters, by media type and style.
_TABLE: tuple[tuple[CommentStyle, str, str], ...] = (
    (_MARKDOWN, "text/markdown", ".md .markdown .mdown .mkd .qmd .rmd"),
    (_HASH, "text/x-python", ".py .pyi .pyw .pyx .pxd sconstruct"),
    (_HASH, "text/x-shellscript", ".sh .bash .zsh .ksh .fish .bats .envrc"),
    (_HASH, "application/yaml", ".yaml .yml"),
    (_HASH, "application/toml", ".toml"),
    (_HASH, "text/x-ruby", ".rb .rake gemfile rakefile"),
    (_HASH, "text/x-perl", ".pl .pm"),
    (_HASH, "text/x-r", ".r"),
    (_HASH, "text/x-julia", ".jl"),
    (_HASH, "text/x-makefile", ".mk makefile gnumakefile"),
    (_HASH, "text/x-dockerfile", ".dockerfile dockerfile containerfile"),
    (_HASH, "text/x-cmake", ".cmake cmakelists.txt"),
    (_HASH, "text/x-powershell", ".ps1 .psm1 .psd1"),
    (_HASH, "text/x-terraform", ".tf .tfvars .hcl"),
    (_HASH, "text/x-properties", ".properties .conf .cfg"),
    (_HASH, "text/x-elixir", ".ex .exs"),
    (_HASH, "text/x-nim", ".nim"),
    (_HASH, "text/x-tcl", ".tcl"),
    (_HASH, "text/x-awk", ".awk"),
    (_HASH, "text/x-nix", ".nix"),
    (_HASH, "text/x-org", ".org"),
    (_HASH, "application/graphql", ".graphql .gql"),
    (_KEPT, "text/javascript", ".js .mjs .cjs .jsx"),
    (_KEPT, "text/css", ".css .scss .less"),
    (_SLASHES, "text/x-typescript", ".ts .tsx .mts .cts"),
    (_SLASHES, "text/x-c", ".c .h"),
    (_SLASHES, "text/x-c++", ".cc .cpp .cxx .hh .hpp .hxx .cu .cuh .ipp"),
    (_SLASHES, "text/x-csharp", ".cs"),
    (_SLASHES, "text/x-java", ".java"),
    (_SLASHES, "text/x-kotlin", ".kt .kts"),
    (_SLASHES, "text/x-scala", ".scala"),
    (_SLASHES, "text/x-groovy", ".groovy .gradle"),
    (_SLASHES, "text/x-go", ".go"),
    (_SLASHES, "text/x-rust", ".rs"),
    (_SLASHES, "text/x-swift", ".swift"),
    (_SLASHES, "text/x-dart", ".dart"),
    (_SLASHES, "text/x-zig", ".zig"),
    (_SLASHES, "text/x-fsharp", ".fs .fsx"),
    (_SLASHES, "text/x-protobuf", ".proto"),
    (_SLASHES, "text/x-solidity", ".sol"),
    (_SLASHES, "text/x-verilog", ".sv .svh"),
    (_SLASHES, "text/x-shader", ".glsl .hlsl .wgsl .vert .frag"),
    (_SLASHES, "text/asciidoc", ".adoc .asciidoc"),
    (_DASHES, "application/sql", ".sql"),
    (_DASHES, "text/x-lua", ".lua"),
    (_DASHES, "text/x-haskell", ".hs"),
    (_DASHES, "text/x-ada", ".adb .ads"),
    (_DASHES, "text/x-elm", ".elm"),
    (_DASHES, "text/x-vhdl", ".vhd .vhdl"),
    (_SEMICOLON, "text/x-ini", ".ini .inf"),
    (_SEMICOLON, "text/x-lisp", ".lisp .cl .el .scm .ss .rkt"),
    (_SEMICOLON, "text/x-clojure", ".clj .cljs .cljc .edn"),
    (_PERCENT, "text/x-tex", ".tex .sty .cls .ltx"),
    (_PERCENT, "text/x-erlang", ".erl .hrl"),
    (_PERCENT, "application/postscript", ".ps .eps"),
    (_PASCAL, "text/x-ocaml", ".ml .mli"),
    (_PASCAL, "text/x-pascal", ".pas .pp"),
    (CommentStyle("!"), "text/x-fortran", ".f90 .f95 .f03 .f08"),
    (CommentStyle("'"), "text/x-vb", ".vb .vbs .bas"),
    (CommentStyle(".."), "text/x-rst", ".rst"),
    (_INSTRUCTION, "application/xml", ".xml .xsd .xsl .xslt .wsdl .plist .mathml"),
    (_INSTRUCTION, "application/rss+xml", ".rss"),
    (_INSTRUCTION, "application/atom+xml", ".atom"),
    (_NOTE, "text/vtt", ".vtt"),
)  # fmt: skip

_BY_NAME = {name: (style, kind) for style, kind, names in _TABLE for name in names.split()}

# What stands around a block somebody else wrote, too.
PAIRS = frozenset((style.prefix, style.suffix) for style, _, _ in _TABLE) | {
    ("", ""), ("/*", "*/"), ("/**", "*/"), ("<!--", "-->"), ("##", ""), (";;", ""), ("%%", ""),
}  # fmt: skip

# Interpreters, TeX formats, PostScript, stylesheets, image builders, Racket.
_RESERVED = re.compile(rb"#!|%[!&]|@charset|#lang\b|#[ \t]*(?:syntax|escape)[ \t]*=")
# PEP 263: the encoding may be named in the second line, and would slip into the third.
_CODING = re.compile(rb"[^\n]*+\n[ \t\f]*#[^\n]*?coding[:=]")


def style_of(name: str) -> tuple[CommentStyle, str] | None:
    """Return how a file of this name writes comments, and its media type; None if it has none."""
    path = PurePath(name.lower())
    return _BY_NAME.get(path.name) or _BY_NAME.get(path.suffix)


def first_line_is_reserved(text: bytes) -> bool:
    """Return whether a comment before the first line would change what a file is."""
    return bool(_RESERVED.match(text) or _CODING.match(text))
