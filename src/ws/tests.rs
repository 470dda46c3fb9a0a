//! What the scanner promises: every rule, the chunk rule, and a naive oracle that agrees.
