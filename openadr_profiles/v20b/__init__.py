"""OpenADR 2.0b: its messages as plain objects, XML to and from them, and what they mean in the core model.

Import the module that is needed: `messages` (no XML), `reading`, `writing`, `signing`, `reports`, `opts` and so on.
Those that read or write XML need the libraries of the extra `oadr20b`; the package itself loads none of them.
"""
