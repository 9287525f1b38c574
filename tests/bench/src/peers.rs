//! Peers: Erlang/OTP when it is installed, and actor libraries for Rust when they can be built.

mod erlang;
mod rust;

use std::rc::Rc;

use crate::args::Workload;
use crate::report::{Figure, Report};

/// Where the peers' programs lie.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A peer, ready to run.
pub(crate) enum Peer {
    Erlang(erlang::Erlang),
    Rust(rust::Library, Rc<rust::Program>),
}

impl Peer {
    /// Those that can run here; the others are named in the report.
    pub(crate) fn all(report: &mut Report) -> Result<Vec<Self>, String> {
        let mut peers = Vec::new();
        match erlang::Erlang::prepare()? {
            Some(erlang) => peers.push(Self::Erlang(erlang)),
            None => report.add_absent("erlang absent: apt install erlang-base".into()),
        }
        match rust::Program::prepare()? {
            Some(program) => {
                let program = Rc::new(program);
                let made = rust::Library::ALL.map(|library| Self::Rust(library, program.clone()));
                peers.extend(made);
            }
            None => report.add_absent("ractor, kameo, actix absent: they did not build".into()),
        }
        Ok(peers)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Erlang(_) => "erlang",
            Self::Rust(library, _) => library.name(),
        }
    }

    pub(crate) const fn runs(&self, workload: Workload) -> bool {
        match self {
            Self::Erlang(_) => erlang::Erlang::runs(workload),
            Self::Rust(library, _) => library.runs(workload),
        }
    }

    pub(crate) fn run(&self, workload: Workload, quick: bool) -> Result<Vec<Figure>, String> {
        match self {
            Self::Erlang(erlang) => erlang.run(workload, quick),
            Self::Rust(library, program) => program.run(*library, workload, quick),
        }
    }
}
