//! The target's side of a move: whether a process may come, and having it.

use std::sync::Arc;

use midflight_message::{NodeId, Pid, TypeInfo, resolve};
use midflight_process::{Baggage, Context};

use super::STATE_MAX;
use crate::code_server::with_sources;
use crate::control::Control;
use crate::control::drain::DRAINED;
use crate::convert::{ConvertError, Reading, Reads, bounded, restore};
use crate::hash::ContentAddress;
use crate::hosted::{Hosted, SavedState, StartError};
use crate::protocol::{Answer, Came, Come, MayCome, Stays};
use crate::versions::Version;

/// Forms of a state that a process may offer.
const FORMS_MAX: usize = 64;

impl Control {
    /// Whether a process may come. The code that it runs in is fetched where this node has none of the bundle.
    pub(crate) async fn may_come(&self, cx: &Context, request: MayCome) -> Answer {
        if self.is_drained() {
            return Answer::No(DRAINED.into());
        }
        let Ok(address) = request.address.parse::<ContentAddress>() else {
            return Answer::No(format!("`{}` is no content address", request.address));
        };
        let forms = request.forms.iter().take(FORMS_MAX).map(|form| read_form(form));
        let Some(forms) = forms.collect::<Option<Vec<_>>>().filter(|forms| !forms.is_empty())
        else {
            return Answer::No("the form of its state does not read".into());
        };
        let versions = self.server.versions();
        let current = versions.current(&request.bundle);
        let unread = match current.map(|it| wanted(&it, &request.behaviour, &forms)) {
            Some(Ok(answer)) => return answer,
            Some(Err(why)) => Some(why),
            None => None,
        };
        if let Some(loaded) = versions.get(address)
            && let Ok(answer) = wanted(&loaded, &request.behaviour, &forms)
        {
            return answer;
        }
        if let Some(why) = unread {
            return Answer::No(why);
        }
        match self.fetch_and_run(cx, address, request.from).await {
            Ok(version) => wanted(&version, &request.behaviour, &forms).unwrap_or_else(Answer::No),
            Err(why) => Answer::No(why),
        }
    }

    /// Brings a bundle of which nothing runs here, and makes it what new processes start in: what comes may
    /// start others of its kind.
    async fn fetch_and_run(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<Arc<Version>, String> {
        self.obtain(cx, address, from).await.map_err(|(_, why)| why)?;
        let name = self.server.name_of(address).await.ok_or("the bundle is not here any more")?;
        if self.server.versions().behind().contains_key(&name) {
            return Err(StartError::CatchingUp(name).to_string());
        }
        self.server.stage(address).await.map_err(|error| with_sources(&error))?;
        self.server.activate(address).await.map_err(|error| with_sources(&error))?;
        let loaded = self.server.versions().get(address);
        loaded.ok_or_else(|| "the bundle is not loaded any more".into())
    }

    /// Has a process that `holder`, proven by its link, may give up.
    pub(crate) async fn come(&self, come: Come, holder: Option<NodeId>) -> Came {
        if self.is_drained() {
            return Came::No(DRAINED.into());
        }
        // Who asks from outside any process was refused before.
        let Some(holder) = holder else {
            return Came::No("nobody holds it".into());
        };
        match self.lodge(come, holder).await {
            Ok(cell) => Came::Lodged(cell),
            Err(why) => {
                tracing::warn!(why, "a process does not come");
                Came::No(why)
            }
        }
    }

    async fn lodge(&self, come: Come, holder: NodeId) -> Result<Pid, String> {
        let node = self.server.node();
        let address = come.address.parse::<ContentAddress>().map_err(|error| error.to_string())?;
        let version = self.server.versions().get(address);
        let version = version.ok_or("the version that was found for it is not loaded any more")?;
        let form = read_form(&come.form).ok_or("the form of its state does not read")?;
        let baggage = Baggage::from_bytes(&come.baggage).map_err(|error| error.to_string())?;
        if come.state.len() > STATE_MAX {
            return Err(format!("its state has {} bytes", come.state.len()));
        }
        let saved = SavedState { form, bytes: come.state };
        let (of, max) = (saved.bytes.len() as u64, self.server.switch_limits().state_bytes);
        let (code, behaviour) = (version.clone(), come.behaviour);
        let work = move || {
            let (index, instance) = restore(&*code.code, &behaviour, &saved)?;
            bounded(&behaviour, instance.size(), of, max)?;
            Ok::<_, ConvertError>((index, instance))
        };
        let restored = self.server.on_a_thread("restore a state that has come", work).await;
        let restored = restored.ok_or("its state was not restored in time")?;
        let (index, instance) = restored.map_err(|error| with_sources(&error))?;
        let lodging = node.lodge(&come.moved, baggage, holder);
        let lodging = lodging.map_err(|error| error.to_string())?;
        let versions = self.server.versions();
        let hosted = Hosted::new(node, versions, version, index, come.moved.pid, instance);
        lodging
            .settle(Box::new(hosted))
            .ok_or_else(|| "the move was called off, or the node is leaving".into())
    }

    /// A process does not come after all.
    pub(crate) fn stays(&self, stays: &Stays, holder: Option<NodeId>) {
        if let Some(holder) = holder {
            self.server.node().unlodge(&stays.moved, holder);
        }
    }
}

/// What `version` wants of a process to take it. `Err`: it cannot, with the reason.
fn wanted(version: &Version, behaviour: &str, forms: &[TypeInfo]) -> Result<Answer, String> {
    let Some((_, description)) = version.behaviour(behaviour) else {
        return Err(format!("version {} there has no behaviour `{behaviour}`", version.version));
    };
    let reads = Reads::of(version.code.description());
    let mut why = None;
    for form in forms {
        let Some(expected) = description.restores(form.version()) else { continue };
        match reads.reading(&resolve(form, expected)) {
            Reading::AsTheyAre | Reading::Translated => {
                let address = version.address.to_string();
                return Ok(Answer::Yes { address, state: form.version() });
            }
            Reading::Incompatible(mismatch) => why = Some(mismatch.to_string()),
            Reading::OwnFormOnly => {}
        }
    }
    let why = why.unwrap_or_else(|| "there is no conversion between the two".into());
    let (from, to) = (forms[0].version(), version.version);
    Err(format!(
        "version {to} there does not read a state of `{behaviour}` of version {from}: {why}"
    ))
}

fn read_form(bytes: &[u8]) -> Option<TypeInfo> {
    match postcard::take_from_bytes(bytes) {
        Ok((form, [])) => Some(form),
        _ => None,
    }
}
