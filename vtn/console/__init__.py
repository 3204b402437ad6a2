"""The console: pages for people who operate the VTN, at ``/console``. Nothing of it is loaded before somebody asks."""
