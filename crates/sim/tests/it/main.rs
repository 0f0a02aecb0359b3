//! What CI simulates.
