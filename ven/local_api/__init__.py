"""The local API: what the owner of a running VEN may ask and do, in JSON over HTTP on this machine."""
