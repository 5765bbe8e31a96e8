//! The table for people.

use std::fmt;

use super::{Argument, Arguments, Topology};

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchanges = self
            .exchanges
            .iter()
            .map(|exchange| [exchange.name.to_owned(), exchange.kind.as_str().to_owned(), line(&exchange.arguments)]);
        section(f, ["EXCHANGE", "TYPE", "ARGUMENTS"], &exchanges.collect::<Vec<_>>())?;
        writeln!(f)?;
        let queues = self.queues.iter().map(|queue| {
            let bindings = self.bindings.iter().filter(|binding| binding.queue == queue.name);
            let bindings: Vec<_> = bindings.map(|binding| format!("{} {}", binding.exchange, binding.key)).collect();
            [queue.name.clone(), bindings.join(", ").trim_end().to_owned(), line(&queue.arguments)]
        });
        section(f, ["QUEUE", "BOUND TO", "ARGUMENTS"], &queues.collect::<Vec<_>>())
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

fn line(arguments: &Arguments) -> String {
    let pairs: Vec<_> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

/// Columns as wide as their widest cell, but for the last one.
fn section(f: &mut fmt::Formatter<'_>, head: [&str; 3], rows: &[[String; 3]]) -> fmt::Result {
    let width =
        |column: usize| rows.iter().map(|row| row[column].len()).chain([head[column].len()]).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    for [a, b, c] in [head.map(String::from)].into_iter().chain(rows.iter().cloned()) {
        writeln!(f, "{}", format!("{a:first$}  {b:second$}  {c}").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use whimbrel_core::tier::Tiers;

    use super::*;

    #[test]
    fn one_line_per_exchange_and_queue() {
        let table = Topology::new(&Tiers::new([])).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 7 + 1 + 1 + 11);
        assert_eq!(lines[1], "whimbrel.events      topic   alternate-exchange=whimbrel.unroutable");
        let lane = lines.iter().find(|line| line.starts_with("whimbrel.jobs.slow.v1")).expect("a line of its own");
        assert!(lane.contains("whimbrel.jobs *.slow  ") && lane.contains("x-delivery-limit=20"), "{lane}");
    }
}
