//! What a process takes, for operators who want to send it something.

use midflight_message::TypeInfo;
use midflight_process::Pid;

use super::Control;
use crate::protocol::{Takes, TakesReply};
use midflight_abi::BehaviourDescription;

impl Control {
    /// The type of a message to a process: of what its behaviour accepts or, where it is a plain function, of what this
    /// program has read so far.
    pub(super) fn takes(&self, request: &Takes) -> TakesReply {
        let Takes { pid, type_name } = request;
        let node = self.server.node();
        if !node.holds(*pid) {
            return self.elsewhere(*pid);
        }
        let accepted = self.with_behaviour(*pid, |version, behaviour| {
            let accepts = &behaviour.accepts;
            let accept = accepts.iter().find(|accept| accept.message.name() == type_name);
            accept.map(|accept| known(&accept.message)).ok_or_else(|| {
                let names: Vec<_> = accepts.iter().map(|accept| accept.message.name()).collect();
                let (name, names) = (&behaviour.name, names.join(", "));
                format!("{name} version {version} does not take `{type_name}`: it takes {names}")
            })
        });
        let own = || {
            let own = node.own_type(type_name);
            own.map(|own| known(&own)).ok_or_else(|| {
                format!(
                    "{pid} runs a function of the program itself, which has no type `{type_name}`"
                )
            })
        };
        accepted.unwrap_or_else(own).unwrap_or_else(TakesReply::Refused)
    }

    fn elsewhere(&self, pid: Pid) -> TakesReply {
        let node = self.server.node();
        let Some(other) = self.server.lives_elsewhere(pid) else {
            return TakesReply::Refused(format!("there is no process {pid}"));
        };
        let members = node.members().into_iter();
        let address = members.filter(|member| member.id == other).find_map(|it| it.address);
        TakesReply::Elsewhere { node: other, address }
    }

    /// Looks at the behaviour that a process runs in its version; `None`: it runs none.
    fn with_behaviour<T>(
        &self,
        pid: Pid,
        look: impl FnOnce(u32, &BehaviourDescription) -> T,
    ) -> Option<T> {
        let version = self.server.versions().of_process(pid)?;
        let label = self.server.node().process(pid)?.label?;
        let (_, behaviour) = version.behaviour(&label.name)?;
        Some(look(version.version, behaviour))
    }
}

fn known(info: &TypeInfo) -> TakesReply {
    TakesReply::Type { version: info.version(), schema: info.schema().to_string() }
}
