//! Connections that wait for their next POST.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::connection::Connection;
use super::destination::Server;

/// How long a connection waits. Far below what balancers on the way keep; a receiver may say that it keeps it for less.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How much earlier than the receiver says, for the way there.
const MARGIN: Duration = Duration::from_secs(1);
/// How often those that have waited too long are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Idle connections by receiver, the one used last on top.
pub(super) struct Pool {
    max: usize,
    waiting: Mutex<Waiting<Box<Connection>>>,
}

struct Waiting<C> {
    by_server: HashMap<Server, Vec<Idle<C>>>,
    total: usize,
}

struct Idle<C> {
    connection: C,
    since: Instant,
    until: Instant,
}

impl Pool {
    /// One of at most so many connections. When there would be more, the older half goes.
    pub(super) fn new(max: usize) -> Self {
        Self { max, waiting: Mutex::default() }
    }

    /// A connection that is still open.
    pub(super) fn take(&self, server: &Server) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let mut idle = self.waiting().pop(server)?;
            if idle.until > now && idle.connection.is_open() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps it, as long as the receiver does.
    pub(super) fn put(&self, server: Server, connection: Box<Connection>, lasts: Option<Duration>) {
        let wait = lasts.map_or(IDLE_MAX, |lasts| lasts.saturating_sub(MARGIN).min(IDLE_MAX));
        if wait.is_zero() {
            return;
        }
        let since = Instant::now();
        let old = self.waiting().push(self.max, server, Idle { connection, since, until: since + wait });
        // Closed here, outside the lock.
        drop(old);
    }

    /// Closes what has waited too long, for ever.
    pub(super) async fn keep(&self) {
        let mut ticks = interval(SWEEP_EVERY);
        loop {
            let now = ticks.tick().await;
            let old = self.waiting().remove(|idle| idle.until <= now);
            drop(old);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<Box<Connection>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Default for Waiting<C> {
    fn default() -> Self {
        Self { by_server: HashMap::new(), total: 0 }
    }
}

impl<C> Waiting<C> {
    fn pop(&mut self, server: &Server) -> Option<Idle<C>> {
        let idle = self.by_server.get_mut(server)?.pop()?;
        self.total -= 1;
        Some(idle)
    }

    /// What has to go for it.
    fn push(&mut self, max: usize, server: Server, idle: Idle<C>) -> Vec<Idle<C>> {
        let old = if self.total >= max.max(1) { self.older_half() } else { Vec::new() };
        self.by_server.entry(server).or_default().push(idle);
        self.total += 1;
        old
    }

    fn older_half(&mut self) -> Vec<Idle<C>> {
        let mut times: Vec<Instant> = self.by_server.values().flatten().map(|idle| idle.since).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.remove(|idle| idle.since <= median)
    }

    fn remove(&mut self, goes: impl Fn(&Idle<C>) -> bool) -> Vec<Idle<C>> {
        let mut removed = Vec::new();
        self.by_server.retain(|_, waiting| {
            removed.extend(waiting.extract_if(.., |idle| goes(idle)));
            !waiting.is_empty()
        });
        self.total -= removed.len();
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `place`th of equal ones, later ones idle since later.
    fn idle(place: usize, begun: Instant) -> Idle<usize> {
        let since = begun + Duration::from_millis(place as u64);
        Idle { connection: place, since, until: since + IDLE_MAX }
    }

    #[test]
    fn the_one_used_last_is_used_next() {
        let (mut waiting, begun, server) = (Waiting::default(), Instant::now(), Server::named("a"));
        for place in 0..3 {
            assert!(waiting.push(8, server.clone(), idle(place, begun)).is_empty());
        }
        for place in (0..3).rev() {
            assert_eq!(waiting.pop(&server).map(|idle| idle.connection), Some(place));
        }
        assert!(waiting.pop(&server).is_none() && waiting.pop(&Server::named("b")).is_none());
        assert_eq!(waiting.total, 0);
    }

    #[test]
    fn at_the_bound_the_older_half_goes() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        for place in 0..100 {
            assert!(waiting.push(100, Server::named(&place.to_string()), idle(place, begun)).is_empty());
        }
        let gone = waiting.push(100, Server::named("next"), idle(100, begun));
        let last = gone.iter().map(|idle| idle.connection).max();
        assert_eq!((gone.len(), last), (51, Some(50)));
        assert_eq!((waiting.total, waiting.by_server.len()), (50, 50));
    }
}
