//! The drawdown ladder: samples of equity in, rungs out. Pure: no I/O, no clock.
