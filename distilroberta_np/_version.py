"""The version of the package, which the build and the requests to the hub read too."""

__version__ = "0.1.0"
