"""The command ``new``: a plugin or a vendor adapter to begin with, complete and tested."""
