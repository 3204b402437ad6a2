"""Keep what must survive a restart, `kill -9` included, in one SQLite file: the state file.

`state_file` opens it; each other module but `journal` and `values` keeps one kind of thing, as docs/ven.md lists them;
`schema` holds the versions of the layout. SQL has one style here: constant text beside the method that sends it, one
transaction a method, nothing built at run time. Instants are whole microseconds since 1970, kilowatts decimal text.
"""

from ven.store.state_file import StateFile

__all__ = ["StateFile"]
