//! `midflight certs`: a development authority, and certificates for nodes and operators.

mod authority;
mod error;
mod folder;
mod issue;
mod name;
mod parsed;

use std::path::{Path, PathBuf};

use midflight_runtime::Handle;
use serde_json::json;
use time::OffsetDateTime;

use crate::error::Error;
use crate::{output, user_data};
use authority::Authority;
pub(crate) use authority::now;
pub(crate) use error::CertsError;
use folder::Folder;
use issue::{Issued, Order, Outcome};
pub(crate) use name::{Host, NodeName, OPERATOR};
pub(crate) use parsed::Parsed;
use parsed::in_words;

/// The port at which the first node of the printed commands listens.
const FIRST_PORT: u16 = 7400;

/// How long certificates are valid, unless it is said.
const DAYS: u16 = 365;

/// Flags of `certs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the authority and the certificates [default: certs in the user's data
    /// folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_CERTS")]
    out: Option<PathBuf>,
    /// A node to make a certificate for; may be given several times. `operator`, for the commands
    /// that operate a cluster, is always made
    #[arg(long, value_name = "NAME", num_args = 1..)]
    node: Vec<NodeName>,
    /// A host name or address at which these nodes are dialled, beside this machine's own; may be
    /// given several times
    #[arg(long, value_name = "HOST", num_args = 1..)]
    host: Vec<Host>,
    /// How long the certificates are valid: at most as long as the authority, which has ten years
    #[arg(
        long,
        value_name = "N",
        default_value_t = DAYS,
        value_parser = clap::value_parser!(u16).range(1..=3650)
    )]
    days: u16,
    /// Makes new keys and certificates for the nodes named with --node, or for `operator` if none
    /// is; a node that runs takes them without a restart. The hosts of the old ones are kept
    #[arg(long)]
    renew: bool,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Made {
    folder: PathBuf,
    is_new: bool,
    until: OffsetDateTime,
    issued: Vec<Issued>,
}

pub(crate) fn run(runtime: &Handle, args: &Args) -> Result<(), Error> {
    let made = make(runtime, &folder(args.out.clone())?, args)?;
    for issued in &made.issued {
        for warning in &issued.warnings {
            tracing::warn!(
                "{} was kept, but {warning}: --renew --node {} makes a new one",
                issued.certificate.display(),
                issued.name,
            );
        }
    }
    output::either(args.json, &made.as_json(), || made.for_people(&args.node))
}

/// The folder of certificates that was named, or the user's own.
pub(crate) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Error> {
    named.map_or_else(|| Ok(user_data::folder(None)?.join("certs")), Ok)
}

/// A folder with an authority and certificates for these nodes and for `operator`, for a cluster on this machine.
pub(crate) fn make_for(
    runtime: &Handle,
    folder: &Path,
    nodes: Vec<NodeName>,
) -> Result<(), CertsError> {
    let args =
        Args { out: None, node: nodes, host: Vec::new(), days: DAYS, renew: false, json: false };
    make(runtime, folder, &args).map(drop)
}

/// Makes what is missing.
fn make(runtime: &Handle, folder: &Path, args: &Args) -> Result<Made, CertsError> {
    let folder = Folder::prepared(folder)?;
    let authority = Authority::of(&folder, runtime)?;
    let mut names: Vec<NodeName> = Vec::new();
    for name in args.node.iter().cloned().chain([NodeName::operator()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let now = now(runtime);
    let issue = |name: &NodeName| {
        let is_named = args.node.contains(name);
        // Nobody dials an operator.
        let hosts: &[Host] = if name.as_str() == OPERATOR { &[] } else { &args.host };
        let renew = args.renew && (is_named || args.node.is_empty());
        Order { name, hosts, days: args.days, renew, now }.fill(&folder, &authority)
    };
    let issued = names.iter().map(issue).collect::<Result<_, _>>()?;
    Ok(Made {
        folder: folder.path().to_owned(),
        is_new: authority.is_new,
        until: authority.certificate.until,
        issued,
    })
}

impl Made {
    fn as_json(&self) -> serde_json::Value {
        let issued: Vec<_> = self
            .issued
            .iter()
            .map(|issued| {
                let hosts: Vec<_> = issued.hosts.iter().map(ToString::to_string).collect();
                json!({
                    "name": issued.name.as_str(), "certificate": issued.certificate,
                    "key": issued.key, "outcome": issued.outcome, "hosts": hosts,
                    "valid_until": in_words(issued.until), "warnings": issued.warnings,
                })
            })
            .collect();
        let outcome = if self.is_new { Outcome::Made } else { Outcome::Kept };
        json!({
            "folder": self.folder,
            "authority": {
                "certificate": self.folder.join("ca.pem"), "key": self.folder.join("ca.key"),
                "outcome": outcome, "valid_until": in_words(self.until),
            },
            "certificates": issued,
        })
    }

    fn for_people(&self, nodes: &[NodeName]) -> String {
        let row = |name: &str, outcome, until: OffsetDateTime, hosts: String| {
            let files = format!("  {name}.pem {name}.key");
            vec![files, words(outcome).to_owned(), format!("until {}", until.date()), hosts]
        };
        let authority = if self.is_new { Outcome::Made } else { Outcome::Kept };
        let mut rows = vec![row("ca", authority, self.until, "the authority".to_owned())];
        for issued in &self.issued {
            let hosts: Vec<_> = issued.hosts.iter().map(ToString::to_string).collect();
            rows.push(row(
                issued.name.as_str(),
                issued.outcome,
                issued.until,
                format!("at {}", hosts.join(", ")),
            ));
        }
        let mut text = format!("{}\n{}\n", self.folder.display(), output::table(&rows));
        text.push_str(&self.next(nodes));
        text.push_str(
            "\nOn another machine a node needs ca.pem and its own two files. Whoever has ca.key can \
             make nodes: it stays here.\n",
        );
        text
    }

    /// The commands that come next.
    fn next(&self, nodes: &[NodeName]) -> String {
        let folder = output::shell_word(&self.folder.display().to_string());
        let mut text = String::from("Next:\n");
        let nodes: Vec<_> = nodes.iter().filter(|name| name.as_str() != OPERATOR).collect();
        if nodes.is_empty() {
            text.push_str(&format!("  midflight certs --out {folder} --node a --node b\n"));
        }
        for (port, name) in (FIRST_PORT..).zip(&nodes) {
            let join = if port == FIRST_PORT {
                String::new()
            } else {
                format!(" --join 127.0.0.1:{FIRST_PORT}")
            };
            text.push_str(&format!(
                "  midflight node --transport tls --certs {folder} --name {name} \
                 --listen 127.0.0.1:{port}{join}\n"
            ));
        }
        text.push_str(&format!(
            "  midflight status --transport tls --certs {folder} --node 127.0.0.1:{FIRST_PORT}\n"
        ));
        text
    }
}

const fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Made => "made",
        Outcome::Renewed => "renewed",
        Outcome::Kept => "kept",
    }
}
