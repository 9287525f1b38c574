//! `midflight sign`: one more signature on a bundle.

use std::path::PathBuf;
use std::time::Duration;

use midflight_dsu::bundle::BundleError;
use midflight_dsu::keys::{development_key, signing_key};
use midflight_runtime::Handle;
use serde_json::json;

use crate::error::Error;
use crate::inspect::until;
use crate::upload::BundleFile;
use crate::{output, user_data};

const DAY: u64 = 24 * 60 * 60;

/// Flags of `sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle; the signature is put into it, beside those of other keys
    file: PathBuf,
    /// The file with the key [default: the development key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For how many days the signature is good; nodes take the bundle no more when it has expired, and go on with
    /// what runs [default: for ever]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: Option<u64>,
    /// The folder for keys [default: the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut file = BundleFile::read(&runtime, &args.file, false).await?;
    let key = match &args.key {
        Some(path) => signing_key(path),
        None => development_key(&*runtime, &user_data::folder(args.data)?),
    };
    let key = key.map_err(|error| Error::Build(error.into()))?;
    let now: Duration = runtime.unix_time();
    let expires = args.days.map(|days| now.as_secs().saturating_add(days * DAY));
    let wrong = |error: BundleError| Error::Wrong(error.to_string());
    file.bundle.sign_until(&key, expires).map_err(wrong)?;
    let bytes = file.bundle.write().map_err(wrong)?;
    let written = runtime.files().write(args.file.clone(), bytes).await;
    written.map_err(|source| Error::Machine {
        what: format!("{} cannot be written", args.file.display()),
        source,
    })?;
    let (public, signatures) = (key.public().to_string(), file.bundle.signatures().len());
    let value = json!({
        "file": args.file, "address": file.address(), "key": public, "expires": expires,
        "signatures": signatures,
    });
    output::either(args.json, &value, || {
        let title = file.title();
        format!(
            "{title} is signed by {public}, {}; {signatures} signatures in all\n",
            until(expires)
        )
    })
}
