//! A transport alone: two OS processes, one link, no nodes. Beside it plain sockets in the hands of
//! plain tokio, over TCP and over TLS.
//!
//! The two sides speak the same everywhere. The first message of a connection says what it is for:
//! [`ECHO`] has each message sent back; another number is how many messages are to be counted, and
//! then answered with a [`Receipt`](receipt::Receipt).

mod certificates;
mod ours;
mod raw;
pub(crate) mod receipt;
mod rustls_config;
mod workload;
mod written;

pub(crate) use certificates::Certificates;
pub(crate) use ours::transport;
pub(crate) use workload::{Shape, Wire, metrics};

use crate::args::{Own, Size};
use crate::far_side::{self, FarSide};
use crate::report::Figure;

/// The purpose of a connection on which everything is sent back.
pub(crate) const ECHO: u64 = 0;
/// The purpose of a connection that is a stream without an end.
const ENDLESS: u64 = u64::MAX;

/// Runs a workload once.
pub(crate) async fn sample(
    who: Own,
    wire: Wire,
    shape: Shape,
    size: Size,
) -> Result<Vec<Figure>, String> {
    let (near, far) = Certificates::for_wire(wire)?;
    let far_side = FarSide::start_on(who, wire, far.as_ref())?;
    let measured = match who {
        Own::Raw => raw::sample(&far_side.address, near.as_ref(), shape, size).await,
        Own::Midflight => ours::sample(&far_side.address, near.as_ref(), shape, size).await,
    };
    Ok(measured?.figures(metrics(wire, shape)))
}

/// The far side.
pub(crate) async fn serve(who: Own) -> Result<(), String> {
    let certificates = far_side::told()?;
    match who {
        Own::Raw => raw::serve(certificates.as_ref()).await,
        Own::Midflight => ours::serve(certificates.as_ref()).await,
    }
}
