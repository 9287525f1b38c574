//! In which order a rollout is to reach the members, and what is to stand between two waves (R3).

use super::Control;
use crate::protocol::Course;
use crate::rollout::gates::Gates;
use crate::rollout::ledger::{MEMBERS_MAX, Party};
use crate::rollout::waves::waves;

impl Control {
    /// The waves and gates of a deployment. `Err`: why there are none, in words.
    pub(super) async fn course(
        &self,
        course: Course,
    ) -> Result<(Vec<Vec<Party>>, Option<Gates>), String> {
        let Course { steps, gates } = course;
        let members = self.members().await;
        if members.len() > MEMBERS_MAX {
            return Err(format!("a rollout has at most {MEMBERS_MAX} nodes"));
        }
        let waves = waves(members, &self.party(), &steps, gates.is_some());
        Ok((waves.map_err(|error| error.to_string())?, gates))
    }

    /// The nodes that a rollout is to reach. Nodes that only dial, such as an operator's, run no code of the cluster's; one
    /// that is known to be gone has no say. One that is out of reach says no where no voters are declared: nobody could tell
    /// on which side of a cut the cluster is. With voters it is left behind, and catches up when it is heard again.
    async fn members(&self) -> Vec<Party> {
        let mut members = self.server.node().living_members().await;
        if self.voting.is_declared() {
            members.retain(midflight_process::Member::is_up);
        }
        members.into_iter().map(|member| Party { name: member.name, id: member.id }).collect()
    }
}
