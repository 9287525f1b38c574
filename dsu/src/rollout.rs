//! Rollouts: how a bundle comes to every node, or to none, whoever dies on the way (R4, R5).
//!
//! [`ledger`] is what the decision log says, [`kernel`](self) what whoever drives a rollout does next, [`waves`] in which order
//! nodes are reached, and [`gates`] what one wave must show before the next one follows (R3). What nodes do for it is
//! with their control processes; who keeps the log is in [`voting`](crate::voting).

#[cfg(test)]
mod explore;
pub mod gates;
pub(crate) mod kernel;
pub mod ledger;
pub(crate) mod statistics;
pub(crate) mod steps;
pub mod waves;
