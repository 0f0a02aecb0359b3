//! What is told to people, over which channels; never on the critical path.
