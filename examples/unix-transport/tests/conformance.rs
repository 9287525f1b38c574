//! The suite that every transport runs, over Unix domain sockets.

#[path = "shared/folder.rs"]
mod folder;

use folder::unix;

midflight_transport_api::conformance_suite!(unix);
