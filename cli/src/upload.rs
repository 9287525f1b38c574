//! Bringing a bundle to a node, and having it deployed.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_dsu::bundle::{BUNDLE_BYTES_MAX, Bundle};
use midflight_dsu::protocol::{CHUNK_BYTES, Chunk, Deploy, Deployed, Offer, Progress, Wanted};
use midflight_process::CallError;
use midflight_process::message::Message as _;
use midflight_runtime::Handle;

use crate::control::Control;
use crate::error::Error;

/// How long a deployment may take, on all nodes: each of its steps has a shorter deadline there.
const DEPLOYED_WITHIN: Duration = Duration::from_secs(600);

/// A bundle file, read and whole.
#[derive(Debug, Clone)]
pub(crate) struct BundleFile {
    pub(crate) bundle: Bundle,
    pub(crate) bytes: Vec<u8>,
}

impl BundleFile {
    /// Reads it. `refused`: what is no bundle is refused, rather than found to be wrong.
    pub(crate) async fn read(runtime: &Handle, path: &Path, refused: bool) -> Result<Self, Error> {
        let read = runtime.files().read(path.to_owned(), BUNDLE_BYTES_MAX).await;
        let file = || path.to_owned();
        let bytes = match read {
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                let part = "the file".to_owned();
                let source = midflight_dsu::bundle::BundleError::TooLarge {
                    part,
                    size,
                    max: BUNDLE_BYTES_MAX,
                };
                return Err(Error::NoBundle { file: file(), refused, source });
            }
            other => other.map_err(|source| Error::File { file: file(), source })?,
        };
        let bundle = Bundle::read(&bytes).map_err(|source| Error::NoBundle {
            file: file(),
            refused,
            source,
        })?;
        Ok(Self { bundle, bytes })
    }

    /// The content address.
    pub(crate) fn address(&self) -> String {
        self.bundle.address().to_string()
    }

    /// `counter v2`.
    pub(crate) fn title(&self) -> String {
        let manifest = self.bundle.manifest();
        format!("{} v{}", manifest.name, manifest.version)
    }
}

/// What a deployment has come to.
#[derive(Debug)]
pub(crate) enum Deployment {
    /// It is under way; nobody waited for its end.
    UnderWay,
    /// It is over.
    Over(Deployed),
}

/// Sends the parts of a bundle that the node has not. Answers how many bytes that were.
pub(crate) async fn send(control: &Control, file: &BundleFile) -> Result<u64, Error> {
    let (address, size) = (file.address(), file.bytes.len() as u64);
    let mut sent = 0;
    let mut wanted: Wanted = control.ask(Offer { address: address.clone(), size }).await?;
    loop {
        let offset = match wanted {
            Wanted::No => return Ok(sent),
            Wanted::Refused(reason) => {
                return Err(Error::Refused(format!(
                    "{} refuses the bundle: {reason}",
                    control.node
                )));
            }
            Wanted::From(offset) => offset,
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| file.bytes.get(offset..));
        let bytes = rest.map(|rest| &rest[..rest.len().min(CHUNK_BYTES)]).unwrap_or_default();
        if bytes.is_empty() || sent > size {
            let what = format!("{} wants byte {offset} of a bundle of {size}", control.node);
            return Err(Error::Wrong(what));
        }
        sent += bytes.len() as u64;
        let chunk = Chunk { address: address.clone(), offset, bytes: bytes.to_vec() };
        wanted = control.ask(chunk).await?;
    }
}

/// Has a bundle deployed that the node has. Each step on each node is told to `tell`. With `wait`,
/// ends with the deployment; without, as soon as the first step shows that it has begun.
pub(crate) async fn deploy(
    control: &Control,
    address: String,
    wait: bool,
    tell: impl Fn(&Progress) + Send + Sync + 'static,
) -> Result<Deployment, Error> {
    let pid = control.pid;
    let run = control.through.run("deploy", move |cx| async move {
        let deploy = Deploy { address, watcher: Some(cx.me()) };
        let mut ending = pin!(cx.call::<Deploy, Deployed>(pid, deploy, DEPLOYED_WITHIN));
        loop {
            match select(ending.as_mut(), pin!(cx.expect::<Progress>())).await {
                Either::Left((ended, _)) => {
                    while let Some(step) = cx.expect_timeout::<Progress>(Duration::ZERO).await {
                        tell(&step);
                    }
                    return ended.map(Deployment::Over);
                }
                Either::Right((step, _)) => {
                    tell(&step);
                    if !wait {
                        return Ok::<_, CallError>(Deployment::UnderWay);
                    }
                }
            }
        }
    });
    let ended = run.await.ok_or_else(|| Error::Wrong("this node has closed".into()))?;
    ended.map_err(|source| Error::Call {
        node: control.node.clone(),
        request: Deploy::NAME,
        source: Box::new(source),
    })
}

/// What a deployment that is over means for who asked for it.
pub(crate) fn judge(deployed: Deployed) -> Result<Everywhere, Error> {
    match deployed {
        Deployed::Everywhere { name, version, switched, nodes } => {
            Ok(Everywhere { name, version, switched, nodes })
        }
        Deployed::Refused(objections) => Err(Error::Objections(objections)),
        Deployed::Partly { missing, .. } => Err(Error::Partly(missing)),
    }
}

/// A deployment that went well.
#[derive(Debug)]
pub(crate) struct Everywhere {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) switched: u64,
    pub(crate) nodes: Vec<String>,
}
