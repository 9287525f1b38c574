//! Random scripts, and what every endpoint may have been told of them.
//!
//! A script is a list of [`Step`]s, drawn from a seed. A runner does the steps and writes
//! down what was sent and what every endpoint was told; the [`model`] says of that whether it may be.
//! A script that fails is shrunk: steps are left out, and numbers made smaller, for as long as it
//! still fails. What is left is printed with its seed.
//!
//! `MIDFLIGHT_SCRIPTS=1000` tries the seeds below a thousand instead of a few.

pub mod model;
mod run;
mod shrink;
mod step;

use std::ops::Range;

use super::{Fixture, Outcome};

pub use shrink::{Found, search};
pub use step::Step;

/// Scripts of one endpoint, which finds nobody.
pub async fn scripts_of_one(f: Fixture) -> Outcome {
    seeds_hold(&f, 1, 4).await
}

/// Scripts of two endpoints.
pub async fn scripts_of_two(f: Fixture) -> Outcome {
    seeds_hold(&f, 2, 16).await
}

/// Scripts of three endpoints.
pub async fn scripts_of_three(f: Fixture) -> Outcome {
    seeds_hold(&f, 3, 12).await
}

async fn seeds_hold(f: &Fixture, endpoints: usize, few: u64) -> Outcome {
    let asked = std::env::var("MIDFLIGHT_SCRIPTS").ok().and_then(|count| count.parse().ok());
    let seeds: Range<u64> = 0..asked.unwrap_or(few);
    match search(f, endpoints, seeds).await {
        None => Ok(()),
        Some(found) => panic!("{found}"),
    }
}

/// Closing what is open last, from one side and then from the other, leaves a way to connect.
pub async fn closing_the_last_from_both_sides(f: Fixture) -> Outcome {
    holds(
        &f,
        "last",
        &[
            Step::Open { from: 0, to: 1 },
            Step::CloseConnection { connection: 0 },
            Step::CloseLink { connection: 0 },
            Step::Open { from: 1, to: 0 },
            Step::CloseConnection { connection: 1 },
            Step::CloseLink { connection: 1 },
            Step::Open { from: 1, to: 0 },
            Step::Send { connection: 2, bytes: 10 },
        ],
    )
    .await
}

/// What is sent after a break is refused, and is of no later link.
pub async fn break_and_send(f: Fixture) -> Outcome {
    holds(
        &f,
        "send",
        &[
            Step::Open { from: 0, to: 1 },
            Step::Send { connection: 0, bytes: 10 },
            Step::Break { from: 0, to: 1 },
            Step::Send { connection: 0, bytes: 10 },
        ],
    )
    .await
}

/// A side breaks the link and connects again at once.
pub async fn break_here_and_connect(f: Fixture) -> Outcome {
    holds(
        &f,
        "here",
        &[
            Step::Open { from: 0, to: 1 },
            Step::Break { from: 0, to: 1 },
            Step::Open { from: 0, to: 1 },
            Step::Send { connection: 1, bytes: 10 },
        ],
    )
    .await
}

/// A side breaks the link, and the other, which may not know yet, connects again.
pub async fn break_there_and_connect(f: Fixture) -> Outcome {
    holds(
        &f,
        "there",
        &[
            Step::Open { from: 0, to: 1 },
            Step::Break { from: 1, to: 0 },
            Step::Open { from: 0, to: 1 },
            Step::Send { connection: 1, bytes: 10 },
        ],
    )
    .await
}

/// What is sent to a link that the other side has broken is not told on the next one.
pub async fn break_send_and_reconnect(f: Fixture) -> Outcome {
    holds(
        &f,
        "reconnect",
        &[
            Step::Open { from: 0, to: 1 },
            Step::Break { from: 1, to: 0 },
            Step::Send { connection: 0, bytes: 10 },
            Step::Open { from: 0, to: 1 },
            Step::Send { connection: 1, bytes: 150_000 },
            Step::Send { connection: 0, bytes: 10 },
            Step::Send { connection: 1, bytes: 10 },
        ],
    )
    .await
}

/// A script of two endpoints that must hold, several times: what happens beside it differs.
async fn holds(f: &Fixture, name: &str, script: &[Step]) -> Outcome {
    for round in 0..10 {
        if let Err(why) = run::run(f, &format!("{name}{round}"), 2, script).await {
            panic!("{why}");
        }
    }
    Ok(())
}
