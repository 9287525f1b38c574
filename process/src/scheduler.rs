//! How processes are run: queues of those that have something to do, runners that give each its turn, and
//! what a cell may be made of.

pub(crate) mod actions;
pub(crate) mod body;
pub(crate) mod contain;
pub(crate) mod frozen;
pub(crate) mod function;
pub(crate) mod pace;
pub(crate) mod polling;
pub(crate) mod queues;
mod relations;
pub(crate) mod runner;
pub(crate) mod turn;
