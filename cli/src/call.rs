//! `midflight call`: sends a process a message, written as JSON, and shows its reply.

use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::protocol::{Takes, TakesReply};
use midflight_process::message::{NodeId, TypeInfo};
use midflight_process::{CallError, Encoded, Pid};
use midflight_runtime::Handle;
use midflight_transport_api::Address;
use serde_json::{Value, json};

use crate::args::{Reach, pid};
use crate::control::Control;
use crate::error::Error;
use crate::{control, output};

/// How often a process is followed that moves on while it is looked for.
const NODES_MAX: usize = 8;

/// Flags of `call`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process, as `midflight ps` shows it, or its registered name on that node
    to: String,
    /// The message's type, such as `counter.Add`; what a process takes says the refusal of any other
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// Its fields
    #[arg(value_name = "JSON", default_value = "{}")]
    message: String,
    #[command(flatten)]
    reach: Reach,
    /// How long the reply may take, in seconds
    #[arg(
        long,
        default_value_t = 5,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    timeout: u64,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let message: Value = serde_json::from_str(&args.message)
        .map_err(|error| Error::Usage(format!("the message is no JSON: {error}")))?;
    let control = control::reach(&runtime, &args.reach).await?;
    let answer = call(&control, &args, &message).await;
    control.through.shutdown().await;
    let reply = answer?;
    let value =
        reply.ty.decode_json(&reply.bytes).map_err(|error| Error::Wrong(error.to_string()))?;
    let (name, version) = (reply.ty.name(), reply.ty.version());
    let whole = json!({ "type": name, "version": version, "reply": value });
    let is_nothing = value.is_null();
    let for_people = || if is_nothing { "done\n".into() } else { format!("{value:#}\n") };
    output::either(args.json, &whole, for_people)
}

async fn call(control: &Control, args: &Args, message: &Value) -> Result<Encoded, Error> {
    let pid = find(control, &args.to).await?;
    let ty = type_of(control, pid, &args.type_name).await?;
    let bytes = ty.encode_json(message).map_err(|error| Error::Usage(error.to_string()))?;
    let message = Encoded { ty: Arc::new(ty), bytes: bytes.into() };
    let timeout = Duration::from_secs(args.timeout);
    let called = control.through.call_encoded(pid, message, timeout).await;
    called.map_err(|error| match error {
        CallError::TimedOut { .. } => Error::Wrong(error.to_string()),
        error => Error::Refused(error.to_string()),
    })
}

/// The process that is meant.
async fn find(control: &Control, to: &str) -> Result<Pid, Error> {
    if let Ok(pid) = pid(to) {
        return Ok(pid);
    }
    let node = control.node.clone();
    let found = control.through.whereis_on(control.pid.node, to).await;
    let found = found.map_err(|source| Error::Whereis { node: node.clone(), source })?;
    found.ok_or_else(|| Error::Refused(format!("nobody is called `{to}` on {node}")))
}

/// The type of a message to a process, as the node has it on which that lives. A link to that node is there then, as
/// one is to its home.
async fn type_of(control: &Control, pid: Pid, type_name: &str) -> Result<TypeInfo, Error> {
    let mut asked = control.clone();
    for _ in 0..NODES_MAX {
        let takes = Takes { pid, type_name: type_name.to_owned() };
        match asked.ask(takes).await? {
            TakesReply::Type { version, schema } => {
                let parsed = TypeInfo::parse(type_name, version, &schema);
                return parsed.map_err(|error| Error::Wrong(error.to_string()));
            }
            TakesReply::Elsewhere { node, address } => {
                asked = Control::connect(&control.through, &dialled(pid, node, address)?).await?;
            }
            TakesReply::Refused(why) => return Err(Error::Refused(why)),
        }
    }
    Err(Error::Wrong(format!("{pid} moves faster than it can be asked for")))
}

fn dialled(pid: Pid, node: NodeId, address: Option<String>) -> Result<Address, Error> {
    let nowhere =
        || Error::Refused(format!("{pid} is on {node}, which is no member that can be dialled"));
    let address = address.ok_or_else(nowhere)?;
    address.parse().map_err(|_no_address| Error::BadAddress { address })
}
