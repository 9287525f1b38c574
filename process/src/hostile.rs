//! Peers that keep to nothing: raw links to a real node, in the simulator.
//!
//! Each case is an attack. While and after it a decent peer and local processes go on, what the node
//! keeps is within its limits, and the log says why a link was cut or what was not taken.

mod floods;
mod frames;
mod ground;
mod handshakes;
mod lies;
mod list;
mod log;
mod raw;
mod schemas;
