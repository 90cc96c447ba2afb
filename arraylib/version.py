"""The version of the library, which exported programs name."""

VERSION = "0.1.0"
