//! One time round: build, bring to the node, switch; and say what came of it.

use std::time::Duration;

use midflight_dsu::builder::Workshop;
use midflight_dsu::bundle::Bundle;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{Deploy, Objection, Status, StatusRequest};
use midflight_runtime::{Handle, Instant};
use serde_json::json;

use super::Tell;
use super::failure::Failure;
use super::saves::Saves;
use crate::args::Reach;
use crate::control::{self, Control};
use crate::deployment::{self, Deployment, Everywhere, step_line};
use crate::error::Error;
use crate::output::{note, short};
use crate::upload::{self, BundleFile};

/// What lasts from one save to the next.
pub(super) struct Cycle {
    runtime: Handle,
    reach: Reach,
    tell: Tell,
    /// None after something went wrong with it: the node is reached anew then.
    control: Option<Control>,
    /// The last bundle that every node took. None where it is not known what they took since.
    taken: Option<Bundle>,
}

/// When each step was done.
struct Times {
    began: Instant,
    built: Instant,
    pushed: Instant,
    switched: Instant,
}

impl Cycle {
    /// Reaches the node.
    pub(super) async fn new(runtime: Handle, reach: Reach, tell: Tell) -> Result<Self, Error> {
        let control = Some(control::reach(&runtime, &reach).await?);
        Ok(Self { runtime, reach, tell, control, taken: None })
    }

    /// Takes leave of the node.
    pub(super) async fn end(self) {
        if let Some(control) = self.control {
            control.through.shutdown().await;
        }
    }

    /// From what the source is now to what runs. What does not go through is told, and changes nothing; an error
    /// is one of telling.
    pub(super) async fn run(
        &mut self,
        workshop: &mut Workshop,
        saves: &mut Saves,
    ) -> Result<(), Error> {
        let began = self.runtime.now();
        self.tell.event("building", "-- building", json!({}))?;
        let bundle = match self.build(workshop, saves).await {
            Ok(bundle) => bundle,
            Err(error) => return self.not_built(&error),
        };
        let built = self.runtime.now();
        if self.runs_already(&bundle).await {
            let line =
                format!("-- the code is the same ({})", short(&bundle.address().to_string()));
            return self.tell.event(
                "same",
                &line,
                json!({ "address": bundle.address().to_string() }),
            );
        }
        match self.bring(&bundle).await {
            Ok((pushed, everywhere)) => {
                let switched = self.runtime.now();
                self.taken = Some(bundle.clone());
                self.switched(&bundle, &everywhere, &Times { began, built, pushed, switched })
            }
            Err(failure) => {
                // Whatever it is but a no, the next save begins anew.
                if !matches!(failure, Failure::Refused(_)) {
                    self.drop_control().await;
                }
                self.failed(&bundle, &failure)
            }
        }
    }

    /// Builds what the source is now. A folder that it is in since this save is watched before it is read.
    async fn build(&self, workshop: &mut Workshop, saves: &mut Saves) -> Result<Bundle, Error> {
        workshop.look().await?;
        saves.follow(workshop.folders())?;
        Ok(workshop.build(&self.runtime).await?)
    }

    /// Whether the node runs the bundle since this has brought it there. Others may have deployed something else,
    /// and a version goes back by itself. Where the node does not say, it is deployed again.
    async fn runs_already(&mut self, bundle: &Bundle) -> bool {
        let is_taken = self.taken.as_ref().is_some_and(|it| it.address() == bundle.address());
        let Some(control) = self.control.as_ref().filter(|_| is_taken) else { return false };
        let Ok(status) = control.ask::<_, Status>(StatusRequest).await else {
            self.drop_control().await;
            return false;
        };
        let address = bundle.address().to_string();
        status.versions.iter().any(|version| version.current && version.address == address)
    }

    /// Brings the bundle to the node, and the cluster to the bundle.
    async fn bring(&mut self, bundle: &Bundle) -> Result<(Instant, Everywhere), Failure> {
        self.push(bundle).await.map_err(Failure::AsItWas)?;
        let pushed = self.runtime.now();
        let everywhere = self.deploy(bundle).await.map_err(Failure::of_deployment)?;
        Ok((pushed, everywhere))
    }

    async fn push(&mut self, bundle: &Bundle) -> Result<(), Error> {
        let bytes = bundle.write().map_err(|error| Error::Wrong(error.to_string()))?;
        let file = BundleFile { bundle: bundle.clone(), bytes };
        if self.control.is_none() {
            self.control = Some(control::reach(&self.runtime, &self.reach).await?);
        }
        upload::send(self.reached()?, &file).await?;
        Ok(())
    }

    async fn deploy(&self, bundle: &Bundle) -> Result<Everywhere, Error> {
        let address = bundle.address().to_string();
        let policy = Policy::Migrate;
        let request = move |watcher| Deploy { address, watcher, policy, course: <_>::default() };
        let tell = |step: &_| note(&step_line(step));
        match deployment::deploy(self.reached()?, request, true, tell).await? {
            Deployment::Over(deployed) => deployment::judge(deployed),
            Deployment::UnderWay => Err(Error::Wrong("the deployment has not ended".into())),
        }
    }

    fn reached(&self) -> Result<&Control, Error> {
        self.control.as_ref().ok_or_else(|| Error::Wrong("the node is not reached".into()))
    }

    async fn drop_control(&mut self) {
        if let Some(control) = self.control.take() {
            control.through.shutdown().await;
        }
    }

    fn failed(&mut self, bundle: &Bundle, failure: &Failure) -> Result<(), Error> {
        let (event, mut line, mut about) = failure.news();
        match failure {
            Failure::Refused(objections) => {
                let mut objections = objections.iter();
                let advice = objections.find_map(|objection| self.advice(bundle, objection));
                line.extend(advice.iter().map(|advice| format!("\n   help: {advice}")));
                about["help"] = advice.into();
            }
            Failure::Partly(_) | Failure::Unknown(_) => self.taken = None,
            Failure::AsItWas(_) => {}
        }
        self.tell.event(event, &line, about)
    }

    fn not_built(&self, error: &Error) -> Result<(), Error> {
        // The compiler has said itself what is wrong.
        let reason = error.in_words();
        let line = format!("-- all goes on as it was: {reason}");
        self.tell.event("failed", &line, json!({ "step": "build", "reason": reason }))
    }

    /// What to do about a state that is another under the same version.
    fn advice(&self, bundle: &Bundle, objection: &Objection) -> Option<String> {
        let taken_state = |name: &str| {
            let taken = self.taken.as_ref()?;
            let mut taken = taken.manifest().behaviours.iter();
            taken.find(|behaviour| behaviour.name == name).map(|behaviour| &behaviour.state)
        };
        let mut behaviours = bundle.manifest().behaviours.iter();
        let changed = behaviours.find(|behaviour| {
            let named = objection.type_name.as_deref() == Some(behaviour.state.name());
            let other = taken_state(&behaviour.name).is_some_and(|old| {
                old.version() == behaviour.state.version() && *old != behaviour.state
            });
            objection.step == "schemas" && (named || other)
        })?;
        let version = changed.state.version();
        Some(format!(
            "the form of the state `{}` has changed: raise it to #[state(version = {})], and say with \
             #[convert_from({version})] how the old one becomes it",
            changed.state.name(),
            version + 1,
        ))
    }

    fn switched(&self, bundle: &Bundle, news: &Everywhere, times: &Times) -> Result<(), Error> {
        let Everywhere { name, version, switched, nodes } = news;
        let address = bundle.address().to_string();
        let [build, push, switch, all] = [
            times.built.since(times.began),
            times.pushed.since(times.built),
            times.switched.since(times.pushed),
            times.switched.since(times.began),
        ]
        .map(millis);
        let line = format!(
            "-- {name} v{version} ({}) runs on {}: {switched} processes switched · built in {build} ms, \
             pushed in {push} ms, checked and switched in {switch} ms, in all {all} ms",
            short(&address),
            nodes.join(", "),
        );
        let about = json!({
            "name": name, "version": version, "address": address, "nodes": nodes, "switched": switched,
            "ms": { "build": build, "push": push, "switch": switch, "all": all },
        });
        self.tell.event("switched", &line, about)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
