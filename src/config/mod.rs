//! The file, read once into values that cannot be wrong. Every mistake is reported together with its place.
