//! `midflight inspect`: what is in a bundle, without running any of it.

use std::path::PathBuf;

use midflight_dsu::bundle::PanicStrategy;
use midflight_runtime::Handle;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::output;
use crate::upload::BundleFile;

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    file: PathBuf,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: &Handle, args: Args) -> Result<(), Error> {
    let file = BundleFile::read(runtime, &args.file, false).await?;
    let value = as_json(&file);
    output::either(args.json, &value, || for_people(&file))?;
    let bad =
        file.bundle.signatures().iter().find(|signature| !signature.fits(file.bundle.address()));
    match bad {
        Some(signature) => Err(Error::Wrong(format!(
            "the signature by {} does not fit the bundle: it was changed after signing",
            signature.key
        ))),
        None => Ok(()),
    }
}

/// Until when a signature is good, for people.
pub(crate) fn until(expires: Option<u64>) -> String {
    let Some(expires) = expires else { return "for ever".to_owned() };
    let at =
        i64::try_from(expires).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let text = at.and_then(|at| at.format(&Rfc3339).ok());
    format!("until {}", text.unwrap_or_else(|| format!("{expires} s after 1970 began")))
}

fn as_json(file: &BundleFile) -> Value {
    let manifest = file.bundle.manifest();
    let (address, signatures) = (file.bundle.address(), file.bundle.signatures().iter());
    let signatures: Vec<_> = signatures
        .map(|s| json!({ "key": s.key, "good": s.fits(address), "expires": s.expires }))
        .collect();
    let libraries: Vec<_> = manifest
        .libraries
        .iter()
        .map(|l| json!({ "target": l.target, "blake3": l.blake3.to_string(), "size": l.size }))
        .collect();
    let behaviours: Vec<_> = manifest
        .behaviours
        .iter()
        .map(|behaviour| {
            let accepts = behaviour.accepts.iter().map(|accept| {
                json!({
                    "message": accept.message.name(), "version": accept.message.version(),
                    "reply": accept.reply.as_ref().map(|reply| reply.name()),
                })
            });
            let conversions = behaviour.conversions.iter().map(|conversion| {
                json!({
                    "version": conversion.state.version(),
                    "from": conversion.from, "to": conversion.to,
                })
            });
            json!({
                "name": behaviour.name, "version": behaviour.code_version,
                "state_version": behaviour.state.version(),
                "accepts": accepts.collect::<Vec<_>>(),
                "conversions": conversions.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "name": manifest.name, "version": manifest.version, "release": manifest.release,
        "address": file.address(), "size": file.bytes.len(),
        "abi": format!("{}.{}", manifest.abi_major, manifest.abi_minor),
        "panic": match manifest.panic_strategy {
            PanicStrategy::Unwind => "unwind",
            PanicStrategy::Abort => "abort",
        },
        "rustc": manifest.rustc, "libraries": libraries, "behaviours": behaviours,
        "signatures": signatures,
    })
}

fn for_people(file: &BundleFile) -> String {
    let manifest = file.bundle.manifest();
    let mut text = format!(
        "{} · release {} · {} KiB\naddress    {}\nABI        {}.{} · {}\n",
        file.title(),
        manifest.release,
        file.bytes.len().div_ceil(1024),
        file.address(),
        manifest.abi_major,
        manifest.abi_minor,
        manifest.rustc,
    );
    for library in &manifest.libraries {
        let kib = library.size.div_ceil(1024);
        text.push_str(&format!("library    {} · {kib} KiB\n", library.target));
    }
    for signature in file.bundle.signatures() {
        let fits = signature.fits(file.bundle.address());
        let word = if fits { until(signature.expires) } else { "DOES NOT FIT".to_owned() };
        text.push_str(&format!("signed by  {} · {word}\n", signature.key));
    }
    for behaviour in &manifest.behaviours {
        let (name, version) = (&behaviour.name, behaviour.code_version);
        text.push_str(&format!(
            "\nbehaviour {name} v{version}, state version {}\n",
            behaviour.state.version()
        ));
        for accept in &behaviour.accepts {
            let reply = accept.reply.as_ref().map_or("nothing", |reply| reply.name());
            let (name, version) = (accept.message.name(), accept.message.version());
            text.push_str(&format!("  takes    {name} version {version}, answers {reply}\n"));
        }
        for conversion in &behaviour.conversions {
            let ways = match (conversion.from, conversion.to) {
                (true, true) => "from and to",
                (true, false) => "from",
                (false, _) => "to",
            };
            let version = conversion.state.version();
            text.push_str(&format!("  converts {ways} state version {version}\n"));
        }
    }
    text
}
