//! Over TCP.

cases!(tcp);
