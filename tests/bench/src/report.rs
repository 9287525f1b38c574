//! Figures: collected over the rounds, and printed.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

/// One figure of one run, or the median of several.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Microseconds,
    Milliseconds,
    Bytes,
    MegabytesPerSecond,
    Messages,
    Percent,
    CpuPerMillion,
}

impl Unit {
    const ALL: [Self; 8] = [
        Self::PerSecond,
        Self::Microseconds,
        Self::Milliseconds,
        Self::Bytes,
        Self::MegabytesPerSecond,
        Self::Messages,
        Self::Percent,
        Self::CpuPerMillion,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per_s",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Bytes => "B",
            Self::MegabytesPerSecond => "MB_per_s",
            Self::Messages => "messages",
            Self::Percent => "percent",
            Self::CpuPerMillion => "cpu_s_per_M",
        }
    }

    /// Whether more is better.
    pub(crate) const fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::MegabytesPerSecond | Self::Percent)
    }
}

impl Figure {
    pub(crate) fn new(metric: &str, value: f64, unit: Unit) -> Self {
        Self { metric: metric.to_owned(), value, unit }
    }

    /// `count` things in `seconds`.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn rate(metric: &str, count: usize, seconds: f64) -> Self {
        Self::new(metric, count as f64 / seconds, Unit::PerSecond)
    }

    /// Reads `<metric> <value> <unit>`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (metric, value, unit) = (words.next()?, words.next()?, words.next()?);
        let unit = Unit::ALL.into_iter().find(|known| known.name() == unit)?;
        let value = value.parse().ok()?;
        words.next().is_none().then(|| Self::new(metric, value, unit))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.value {
            1_000.0.. => 0,
            10.0.. => 2,
            _ => 3,
        };
        write!(f, "{} {:.decimals$} {}", self.metric, self.value, self.unit.name())
    }
}

/// What everybody measured in all rounds, in the order in which it first came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    order: Vec<(String, String)>,
    figures: BTreeMap<(String, String), Vec<Figure>>,
    absent: Vec<String>,
    /// How many of `order` have been printed as lines.
    printed: usize,
}

impl Report {
    pub(crate) fn add(&mut self, who: &str, figures: Vec<Figure>) {
        for figure in figures {
            let key = (who.to_owned(), figure.metric.clone());
            if !self.order.contains(&key) {
                self.order.push(key.clone());
            }
            self.figures.entry(key).or_default().push(figure);
        }
    }

    /// A peer that is not installed, and how to have it.
    pub(crate) fn add_absent(&mut self, text: String) {
        self.absent.push(text);
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, who: &str, metric: &str) -> Option<Figure> {
        let figures = self.figures.get(&(who.to_owned(), metric.to_owned()))?;
        let mut sorted: Vec<_> = figures.iter().collect();
        sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
        sorted.get(sorted.len() / 2).copied().cloned()
    }

    /// Midflight's figure against another's: above 1 is better.
    pub(crate) fn against(&self, other: &str, metric: &str) -> Option<f64> {
        let ours = self.median("midflight", metric)?;
        let theirs = self.median(other, metric)?;
        let ratio = ours.value / theirs.value;
        let ratio = if ours.unit.more_is_better() { ratio } else { ratio.recip() };
        // Against nothing, such as no lost messages, there is none.
        ratio.is_finite().then_some(ratio)
    }

    fn medians(&self) -> impl Iterator<Item = (&str, Figure)> {
        let median = |(who, metric): &(String, String)| self.median(who, metric);
        self.order.iter().filter_map(move |key| Some((key.0.as_str(), median(key)?)))
    }

    /// A line for each median that has none yet, of those metrics that were asked for: a run of all
    /// takes long, and what is measured should not be lost when its end is.
    pub(crate) fn print_lines(&mut self, is_wanted: impl Fn(&str) -> bool) {
        for (who, figure) in self.medians().skip(self.printed) {
            if is_wanted(&figure.metric) {
                println!("{who} {figure}");
            }
        }
        self.printed = self.order.len();
    }

    /// Who was not there, a line each.
    pub(crate) fn print_absent(&self) {
        self.absent.iter().for_each(|absent| println!("{absent}"));
    }

    /// All as one value, of those metrics that were asked for.
    pub(crate) fn print_json(&self, is_wanted: impl Fn(&str) -> bool) {
        let figures: Vec<_> = self
            .medians()
            .filter(|(_, figure)| is_wanted(&figure.metric))
            .map(|(who, Figure { metric, value, unit })| {
                json!({ "who": who, "metric": metric, "value": value, "unit": unit.name() })
            })
            .collect();
        println!("{}", json!({ "figures": figures, "absent": self.absent }));
    }

    /// How Midflight stands to the others, for people.
    pub(crate) fn print_ratios(&self) {
        for (who, Figure { metric, .. }) in self.medians().filter(|(who, _)| *who != "midflight") {
            if let Some(ratio) = self.against(who, &metric) {
                eprintln!("midflight is {ratio:.2} times as good as {who} at {metric}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let figure = Figure::new("ring", 12.5, Unit::PerSecond);
        assert_eq!(Figure::parse(&figure.to_string()), Some(figure));
        assert_eq!(Figure::parse("ring 12 parsecs"), None);
        assert_eq!(Figure::parse("ring 12 per_s and more"), None);
    }

    #[test]
    fn medians_and_ratios() {
        let mut report = Report::default();
        for (ours, raws) in [(10.0, 30.0), (20.0, 40.0), (90.0, 20.0)] {
            report.add("raw", vec![Figure::new("memory", raws, Unit::Bytes)]);
            report.add("midflight", vec![Figure::new("memory", ours, Unit::Bytes)]);
        }
        assert_eq!(report.median("raw", "memory").map(|figure| figure.value), Some(30.0));
        assert_eq!(report.against("raw", "memory"), Some(1.5));
        for who in ["raw", "midflight"] {
            report.add(who, vec![Figure::new("lost", 0.0, Unit::Messages)]);
        }
        assert_eq!(report.against("raw", "lost"), None);
    }
}
