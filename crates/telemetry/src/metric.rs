//! What is said of a metric: its kind, its labels with the values they may have, who exports it.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Sorted into buckets: `NAME_bucket`, `NAME_sum`, `NAME_count`.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The word in the list of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
        }
    }
}

/// A role of a process, which decides what the process exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Management API and event intake over HTTP.
    Api,
    /// Fans events out.
    Ingest,
    /// Signs and POSTs.
    Sender,
    /// Keeps the log, decides retries and suspensions.
    Tracker,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Api, Self::Ingest, Self::Sender, Self::Tracker];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Sender => "sender",
            Self::Tracker => "tracker",
        }
    }
}

/// The values that a label may have. Never an id, a URL or anything else that a client chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These.
    Of(&'static [&'static str]),
    /// As many as the configuration makes: in words.
    Configured(&'static str),
}

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

impl Label {
    /// One with a fixed set of values.
    pub(crate) const fn of(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, values: Values::Of(values) }
    }

    /// One whose values follow from the configuration.
    pub(crate) const fn configured(name: &'static str, what: &'static str) -> Self {
        Self { name, values: Values::Configured(what) }
    }
}

/// A metric that some role exports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name, unit and `_total` included.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// Its labels, in the order in which the code names them.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets; empty for the other kinds.
    pub buckets: &'static [f64],
    /// Who exports it.
    pub roles: &'static [Role],
    /// Whether every series is there, at 0, before anything has happened: else an alert misses the first event.
    pub from_start: bool,
    /// What it says, in one sentence.
    pub help: &'static str,
}

impl Metric {
    pub(crate) const fn counter(name: &'static str, roles: &'static [Role], help: &'static str) -> Self {
        let (kind, unit) = (Kind::Counter, Unit::Count);
        Self { name, kind, unit, labels: &[], buckets: &[], roles, from_start: true, help }
    }

    pub(crate) const fn gauge(name: &'static str, unit: Unit, roles: &'static [Role], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit, labels: &[], buckets: &[], roles, from_start: false, help }
    }

    /// Of seconds.
    pub(crate) const fn histogram(
        name: &'static str,
        buckets: &'static [f64],
        roles: &'static [Role],
        help: &'static str,
    ) -> Self {
        let (kind, unit) = (Kind::Histogram, Unit::Seconds);
        Self { name, kind, unit, labels: &[], buckets, roles, from_start: true, help }
    }

    pub(crate) const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    /// There as soon as the process is.
    pub(crate) const fn at_once(self) -> Self {
        Self { from_start: true, ..self }
    }

    /// Not there before it was first counted.
    pub(crate) const fn when_seen(self) -> Self {
        Self { from_start: false, ..self }
    }

    /// The label sets that are there from the start: every combination of the values.
    pub fn starting_label_sets(&self) -> Vec<Vec<(&'static str, &'static str)>> {
        if !self.from_start {
            return Vec::new();
        }
        self.labels.iter().fold(vec![Vec::new()], |sets, label| match label.values {
            Values::Of(values) => sets
                .iter()
                .flat_map(|set| values.iter().map(|value| [set.as_slice(), &[(label.name, *value)]].concat()))
                .collect(),
            Values::Configured(_) => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: Label = Label::of("a", &["1", "2"]);
    const OTHER: Label = Label::of("b", &["x", "y"]);
    const OPEN: Label = Label::configured("c", "tiers");

    #[test]
    fn every_combination_of_fixed_values_is_there_from_the_start() {
        let metric = |labels| Metric::counter("n_total", Role::ALL, "N.").by(labels);
        assert_eq!(metric(&[]).starting_label_sets(), [vec![]]);
        let sets = metric(&[FIXED, OTHER]).starting_label_sets();
        assert_eq!(sets.len(), 4);
        assert_eq!(sets[1], [("a", "1"), ("b", "y")]);
        assert!(metric(&[FIXED, OPEN]).starting_label_sets().is_empty());
        assert!(metric(&[FIXED]).when_seen().starting_label_sets().is_empty());
    }
}
