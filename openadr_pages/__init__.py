"""Tell what the pages of the VTN, of a VEN and of the bridge have in common: files, templates, filters and headers.

It knows no other package. ``openadr_pages.environment`` makes an environment of Jinja with all of it in.
"""

from __future__ import annotations

from openadr_pages.templating import environment

__all__ = ["environment"]
