//! What a build that did not go through has left behind.

use midflight_dsu::protocol::Objection;
use midflight_process::{CallError, Refusal};
use serde_json::{Value, json};

use crate::error::{Error, describe, refused_field};

/// Why a build does not run everywhere, by what runs instead.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nodes said no: all goes on as it was.
    Refused(Vec<Objection>),
    /// It was not deployed: all goes on as it was.
    AsItWas(Error),
    /// It runs on some nodes; others were lost in the middle of the switch.
    Partly(Vec<Objection>),
    /// The deployment was under way when the node was lost, and may go on by itself.
    Unknown(Error),
}

impl Failure {
    /// Of one that the node was asked for.
    pub(super) fn of_deployment(error: Error) -> Self {
        match error {
            Error::Objections(objections) => Self::Refused(objections),
            Error::Partly(missing) => Self::Partly(missing),
            Error::Call { ref source, .. } if was_not_heard(source) => Self::AsItWas(error),
            other => Self::Unknown(other),
        }
    }

    /// The event, what it says to people, and what to tools.
    pub(super) fn news(&self) -> (&'static str, String, Value) {
        match self {
            Self::Refused(objections) => {
                let line = format!("-- refused, and all goes on as it was:{}", list(objections));
                ("refused", line, json!({ "objections": as_json(objections) }))
            }
            Self::AsItWas(error) => {
                let why = error.in_words();
                let line = format!("-- all goes on as it was: {why}");
                ("failed", line, json!({ "step": "push", "reason": why }))
            }
            Self::Partly(missing) => {
                let line = format!(
                    "-- it runs on some nodes, and others were lost in the middle of the switch; the next save goes \
                     to all again:{}",
                    list(missing)
                );
                ("partly", line, json!({ "objections": as_json(missing) }))
            }
            Self::Unknown(error) => {
                let why = error.in_words();
                let line = format!(
                    "-- it may run or not, since nobody said how the switch ended; the next save goes to all again: \
                     {why}"
                );
                ("unknown", line, json!({ "reason": why }))
            }
        }
    }
}

/// Whether a request has certainly not been taken up.
fn was_not_heard(error: &CallError) -> bool {
    match error {
        CallError::NotSent(_) => true,
        CallError::Refused { refusal, .. } => !matches!(refusal, Refusal::Aborted { .. }),
        _ => false,
    }
}

/// One line for each.
fn list(objections: &[Objection]) -> String {
    objections.iter().map(|objection| format!("\n     {}", describe(objection))).collect()
}

fn as_json(objections: &[Objection]) -> Vec<Value> {
    let one = |o: &Objection| json!({ "node": o.node, "step": o.step, "reason": o.reason, "field": refused_field(o) });
    objections.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use midflight_process::{Pid, SendError};

    use super::*;

    fn event(error: Error) -> &'static str {
        Failure::of_deployment(error).news().0
    }

    #[test]
    fn only_what_was_not_taken_up_leaves_all_as_it_was() {
        let to: Pid = "<ab.7.2>".parse().unwrap();
        let call =
            |source| Error::Call { node: "a".into(), request: "Deploy", source: Box::new(source) };
        let refused = |refusal| call(CallError::Refused { to, refusal });
        assert_eq!(event(call(CallError::NotSent(SendError::TooManyTypes))), "failed");
        assert_eq!(event(refused(Refusal::NoProcess)), "failed");
        assert_eq!(
            event(refused(Refusal::Aborted { reason: "the link is lost".into() })),
            "unknown"
        );
        assert_eq!(event(call(CallError::TimedOut { to, after: Default::default() })), "unknown");
        assert_eq!(event(Error::Partly(Vec::new())), "partly");
        assert_eq!(event(Error::Objections(Vec::new())), "refused");
    }
}
