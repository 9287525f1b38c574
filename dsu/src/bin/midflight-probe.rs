//! The probe as a program of its own, for those who embed Midflight and whose program does not call
//! `midflight_dsu::probe::child_main` itself. Ship it beside the node and name it in its `Prober`.

use std::process::ExitCode;

fn main() -> ExitCode {
    midflight_dsu::probe::child_main()
}
