//! Every bound of a node, in one place.

use std::time::Duration;

/// What a node holds at the most, and how long it waits. Every queue, table and wait of a node is
/// bounded by one of these.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Messages that local senders may leave in one mailbox (default 4,096: enough for a burst,
    /// small enough that a stuck process is noticed by its senders).
    pub mailbox_messages: u32,
    /// Bytes that local senders may leave in one mailbox (default 8 MiB).
    pub mailbox_bytes: u32,
    /// Messages that one peer's senders may have under way to one process (default 16,384: as many small ones as
    /// are sent in the time that it takes to hear that some were handled; large ones are bounded by their bytes).
    pub window_messages: u32,
    /// Bytes that one peer's senders may have under way to one process (default 4 MiB; one larger
    /// message may pass when a quarter of that at the most is under way). Streams of messages about as large
    /// as this wait for each to be handled before the next is sent.
    pub window_bytes: u32,
    /// Bytes of one peer's messages that may lie unhandled on the node, in all mailboxes together, those under
    /// way to it among them (default 1 GiB; one larger message may pass when a quarter of that at the most
    /// lies there). What goes beyond waits at its sender, to whichever process it is.
    pub peer_bytes: u64,
    /// How long `send` waits for room before it answers `Overloaded` (default 5 s).
    pub send_timeout: Duration,
    /// How long making a link to a node, with its handshake, may take (default 5 s).
    pub connect_timeout: Duration,
    /// How long a receiver waits for the schema of a type it has not met (default 5 s).
    pub schema_timeout: Duration,
    /// How long starting a registered function may take, unless its spawner says otherwise (default 5 s).
    pub spawn_timeout: Duration,
    /// How long processes may take to end when the node is shut down; then what is left is ended without
    /// being asked (default 10 s).
    pub shutdown_timeout: Duration,
    /// How often processes of one node may be in groups, and how many monitors of groups there may be
    /// (default 65,536 each).
    pub group_members: usize,
    /// Names of processes (default 65,536).
    pub names: usize,
    /// Functions that can be started by name (default 16,384).
    pub functions: usize,
    /// Timers that one process may have set (default 4,096).
    pub timers_per_process: usize,
    /// Timers that all of the node's processes may have set (default 16 Mi).
    pub timers: usize,
    /// Processes on the node (default 16 Mi).
    pub processes: u32,
    /// Peers at one time (default 1,024).
    pub peers: usize,
    /// How long a link that only gossip has ever used is kept without even that (default 5 min: a node then
    /// has links to those with whom it has gossiped lately, some 600 at the most with the default
    /// `probe_period`, however many members there are; in a cluster of fewer each is used before that). The
    /// other side must agree; no process is told.
    pub idle_timeout: Duration,
    /// Links between processes of this node and those of one peer (default 1 Mi).
    pub links_per_peer: usize,
    /// Monitors that one peer's processes may have on processes of this node (default 1 Mi).
    pub monitors_per_peer: usize,
    /// Members known beside the node itself, those that are down among them (default 4,096; who has been
    /// down is forgotten for one who is there).
    pub members: usize,
    /// How often each node asks another, chosen by chance, for a sign of life (default 1 s).
    pub probe_period: Duration,
    /// How long that other may take before third ones are asked to ask it (default 500 ms; less than
    /// `probe_period`).
    pub probe_timeout: Duration,
    /// How long a suspect may take to object before it is down (default 5 s).
    pub suspect_timeout: Duration,
    /// How long a member that is down is remembered, and sometimes dialled (default 24 h).
    pub down_kept: Duration,
    /// Message types known, those of peers up to three quarters of it (default 65,536).
    pub types: usize,
    /// Message types one peer may announce (default 16,384).
    pub types_per_peer: usize,
    /// How long messages may lie that a process's receives have passed over until the node says so, once for
    /// each process and type (default 60 s; `None`: it never does).
    pub unreceived_after: Option<Duration>,
    /// Dead letters kept (default 1,024; the oldest goes first).
    pub dead_letters: usize,
    /// Bytes of dead letters kept (default 16 MiB).
    pub dead_letter_bytes: usize,
    /// Lanes to each peer, beside the control lane (default 16).
    pub lanes: usize,
    /// Messages a behaviour handles before its runner looks at others (default 256); fewer where they take long: a
    /// turn is over, too, when it has lasted for a `slice`. (An async function's turn is one poll, which is bounded by
    /// what had come when it began.)
    pub turn_messages: usize,
    /// How long a runner works before it lets input and output run (default 150 µs).
    pub slice: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailbox_messages: 4_096,
            mailbox_bytes: 8 << 20,
            window_messages: 16_384,
            window_bytes: 4 << 20,
            peer_bytes: 1 << 30,
            send_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            schema_timeout: Duration::from_secs(5),
            spawn_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(10),
            group_members: 65_536,
            names: 65_536,
            functions: 16_384,
            timers_per_process: 4_096,
            timers: 16 << 20,
            processes: 16 << 20,
            peers: 1_024,
            idle_timeout: Duration::from_secs(5 * 60),
            links_per_peer: 1 << 20,
            monitors_per_peer: 1 << 20,
            members: 4_096,
            probe_period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            suspect_timeout: Duration::from_secs(5),
            down_kept: Duration::from_secs(24 * 60 * 60),
            types: 65_536,
            types_per_peer: 16_384,
            unreceived_after: Some(Duration::from_secs(60)),
            dead_letters: 1_024,
            dead_letter_bytes: 16 << 20,
            lanes: 16,
            turn_messages: 256,
            slice: Duration::from_micros(150),
        }
    }
}
