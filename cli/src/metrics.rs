//! A node in numbers, for Prometheus: nothing is counted for it, all is read when somebody asks.

mod endpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_dsu::versions::Version;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub(crate) use endpoint::serve;

/// The page of a node's metrics, in the OpenMetrics text format.
pub(crate) struct Page(Registry);

impl Page {
    pub(crate) fn new(server: CodeServer) -> Self {
        let mut registry = Registry::with_prefix("midflight");
        registry.register_collector(Box::new(Scrape(server)));
        Self(registry)
    }

    /// The page as it is now. It looks at every process: see `Node::metrics`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // A String takes all that is written to it.
        let _ = text::encode(&mut text, &self.0);
        text
    }
}

/// What is said of a node.
struct Scrape(CodeServer);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrape({})", self.0.node().name())
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut say = Say(encoder);
        self.processes(&mut say)?;
        self.peers(&mut say)?;
        self.letters(&mut say)?;
        self.versions(&mut say)
    }
}

impl Scrape {
    fn processes(&self, say: &mut Say<'_>) -> fmt::Result {
        let metrics = self.0.node().metrics();
        say.gauge("processes", "Processes that live", metrics.processes as u64)?;
        say.counter("spawned", "Processes that were started", metrics.spawned)?;
        let ended = [
            ("well", metrics.ended.saturating_sub(metrics.ended_badly)),
            ("badly", metrics.ended_badly),
        ];
        say.counters(
            "ended",
            "Processes that have ended: badly by a panic, an error or a kill",
            ended.map(|(how, count)| ([("how", how)], count)),
        )?;
        say.gauge("mailbox_messages", "Messages that wait in mailboxes", metrics.mailbox_messages)?;
        say.gauge("mailbox_bytes", "What they count, in bytes", metrics.mailbox_bytes)?;
        let longest = metrics.mailbox_longest.map_or(0, |(_, messages)| u64::from(messages));
        say.gauge("mailbox_longest", "Messages in the longest mailbox", longest)?;
        say.gauge("run_queue", "Processes that wait for a turn", metrics.runnable as u64)?;
        say.counter("turns", "Turns that processes had", metrics.turns)?;
        say.counter(
            "messages_handled",
            "Messages that processes handled",
            metrics.messages_handled,
        )?;
        say.counter(
            "unreceived",
            "Times that messages of one type lay in a process for too long",
            metrics.unreceived,
        )
    }

    fn peers(&self, say: &mut Say<'_>) -> fmt::Result {
        let metrics = self.0.node().metrics();
        say.gauge("peers", "Nodes there is a link to", metrics.peers.len() as u64)?;
        say.counter("links_made", "Links to other nodes that were made", metrics.links_made)?;
        say.counter("links_lost", "Links to other nodes that were lost", metrics.links_lost)?;
        say.counter("links_idle", "Idle links that were closed", metrics.links_idle)?;
        let refused = metrics.handshakes_refused;
        say.counter("handshakes_refused", "Handshakes refused, here or there", refused)?;
        let violations = metrics.violations;
        say.counter("protocol_violations", "Links cut as the peer broke the protocol", violations)?;
        let traffic = || {
            metrics.peers.iter().flat_map(|peer| {
                [("sent", peer.sent), ("received", peer.received)]
                    .map(|(way, traffic)| ([("peer", &*peer.name), ("way", way)], traffic))
            })
        };
        say.counters(
            "peer_messages",
            "Messages to and from a peer since its link was made",
            traffic().map(|(labels, traffic)| (labels, traffic.messages)),
        )?;
        say.counters(
            "peer_bytes",
            "Bytes to and from a peer since its link was made, without the transport's own",
            traffic().map(|(labels, traffic)| (labels, traffic.bytes)),
        )
    }

    fn letters(&self, say: &mut Say<'_>) -> fmt::Result {
        let node = self.0.node();
        let totals = node.dead_letter_totals();
        say.gauge("dead_letters", "Messages that nobody could take, kept", totals.letters as u64)?;
        say.gauge("dead_letter_bytes", "What they count, in bytes", totals.bytes as u64)?;
        say.counter("dead_letters_lost", "Dead letters lost to their bounds", totals.lost)?;
        let refused = node.refused();
        let rows = refused.iter().map(|count| {
            let to_version = count.to_version.map(|version| version.to_string());
            let labels = [
                ("type", count.type_name.clone()),
                ("from_version", count.from_version.to_string()),
                ("to_version", to_version.unwrap_or_default()),
                ("reason", count.kind.name().to_owned()),
                ("at", if count.at_send { "sender" } else { "receiver" }.to_owned()),
            ];
            (labels, count.times)
        });
        say.counters("messages_refused", "Messages that were not taken, or not sent", rows)
    }

    fn probations(&self, say: &mut Say<'_>, versions: &[(Arc<Version>, bool)]) -> fmt::Result {
        let rows = || versions.iter().map(|(version, _)| (version, labels(version)));
        say.counters(
            "version_returns",
            "Processes that a version of a bundle failed on their probation, so that they went back",
            rows().map(|(version, labels)| (labels, version.returns())),
        )?;
        say.counters(
            "version_failures",
            "Messages and processes that a version of a bundle failed while it was on probation",
            rows().map(|(version, labels)| (labels, version.failures())),
        )?;
        let past = self.0.history(None);
        let mut back = BTreeMap::<_, u64>::new();
        for (bundle, _) in past.iter().filter(|(_, change)| change.cause == Cause::WentBack) {
            *back.entry([("bundle", bundle.clone())]).or_default() += 1;
        }
        say.gauges(
            "updates_gone_back",
            "Updates of a bundle in the node's history that went back by themselves",
            back,
        )
    }

    fn versions(&self, say: &mut Say<'_>) -> fmt::Result {
        let versions = self.0.versions().all();
        let rows = versions.iter().map(|(version, current)| {
            let [bundle, number, address] = labels(version);
            let labels = [bundle, number, address, ("current", current.to_string())];
            (labels, version.process_count() as u64)
        });
        say.gauges("version_processes", "Processes that run in a version of a bundle", rows)?;
        self.probations(say, &versions)?;
        // How many libraries and bytes, by whether they are of a version that is retired, and why they stay.
        let used: BTreeSet<_> = versions.iter().map(|(version, _)| version.code.id()).collect();
        let mut mapped = BTreeMap::<_, (u64, u64)>::new();
        for library in self.0.mapped() {
            let of = if used.contains(&library.code) { "loaded" } else { "retired" };
            let stays = library.stays.map(|why| why.to_string()).unwrap_or_default();
            let (libraries, bytes) =
                mapped.entry([("of", of.to_owned()), ("stays", stays)]).or_default();
            *libraries += 1;
            *bytes += library.bytes;
        }
        let libraries = mapped.iter().map(|(labels, (libraries, _))| (labels.clone(), *libraries));
        say.gauges(
            "libraries_mapped",
            "Libraries in memory: of versions that are loaded or retired, and why they are never unloaded",
            libraries,
        )?;
        let bytes = mapped.iter().map(|(labels, (_, bytes))| (labels.clone(), *bytes));
        say.gauges("libraries_mapped_bytes", "The address space they take", bytes)
    }
}

/// Which version a number is of.
fn labels(version: &Version) -> [(&'static str, String); 3] {
    [
        ("bundle", version.name.clone()),
        ("version", version.version.to_string()),
        ("address", version.address.to_string()),
    ]
}

/// Where the numbers go.
struct Say<'a>(DescriptorEncoder<'a>);

impl Say<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        rows.into_iter()
            .try_for_each(|(labels, value)| encoder.encode_family(&labels)?.encode_gauge(&value))
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }
}
