//! Signed POSTs over bare connections.

use std::ops::Range;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use ring::hmac;

use super::{Post, quarter_ms};
use crate::load::{Connection, Events, Signer};
use crate::meter::float_of;
use crate::process;
use crate::receiver::{Behaviour, Endpoint, Plan, Receiver};
use crate::system::secret;

/// Connections at a time: as many as the scenarios have requests under way.
const CONNECTIONS: usize = 32;

/// POSTs one by one for the time, then on several connections for the CPU.
pub(super) async fn measure(receiver: &Receiver, repeats: usize) -> Result<Post> {
    let alone = repeats.min(200);
    let posts = Posts::expect(receiver, alone + repeats)?;
    let mut connection = [Connection::open(&posts.url).await?];
    let mut times = Vec::with_capacity(alone);
    for number in 0..alone {
        let begun = receiver.now_us();
        posts.send(&mut connection, number..number + 1).await?;
        times.push(receiver.now_us() - begun);
    }

    let before = (process::own_cpu(), receiver.cpu_us());
    posts.send(&mut posts.connect().await?, alone..alone + repeats).await?;
    let server = receiver.cpu_us() - before.1;
    let client = process::own_cpu().since(before.0).saturating_sub(server);
    posts.check(receiver)?;
    let each = |us: u64| crate::meter::float(us) / float_of(repeats);
    Ok(Post { client_us: each(client), server_us: each(server), round_trip_ms: quarter_ms(times) })
}

/// Signed POSTs to one endpoint that the receiver answers.
pub(super) struct Posts {
    url: String,
    signer: Signer,
}

impl Posts {
    /// So many of them, which the receiver expects from now on.
    pub(super) fn expect(receiver: &Receiver, count: usize) -> Result<Self> {
        let (key, url) = (hmac::Key::new(hmac::HMAC_SHA256, &secret(0)), receiver.url(0, Behaviour::Answer));
        let endpoints = vec![Endpoint { behaviour: Behaviour::Answer, key: key.clone() }];
        receiver.expect(Plan { endpoints, events: count, ..Plan::default() });
        Ok(Self { signer: Signer::new(&url, key)?, url })
    }

    /// As many connections as the scenarios have requests under way.
    pub(super) async fn connect(&self) -> Result<Vec<Connection>> {
        try_join_all((0..CONNECTIONS).map(|_| Connection::open(&self.url))).await
    }

    /// Sends those of these numbers, each connection one after the other.
    pub(super) async fn send(&self, connections: &mut [Connection], numbers: Range<usize>) -> Result<()> {
        let step = connections.len();
        let worker = async |(place, connection): (usize, &mut Connection)| -> Result<()> {
            for number in numbers.clone().skip(place).step_by(step) {
                let request = self.signer.request(&format!("evt_{number:026}"), Events::data(number).into());
                let (status, _) = connection.send(request).await?;
                ensure!(status.is_success(), "the receiver answered {status}");
            }
            Ok(())
        };
        try_join_all(connections.iter_mut().enumerate().map(worker)).await?;
        Ok(())
    }

    /// Ends them; an error when one did not come as it should.
    pub(super) fn check(&self, receiver: &Receiver) -> Result<()> {
        let faults = receiver.take().faults;
        ensure!(faults.is_none(), "the floor's own POSTs to {} were not received well: {faults:?}", self.url);
        Ok(())
    }
}
