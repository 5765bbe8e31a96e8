//! Signed POSTs over bare connections.

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
pub(super) const CONNECTIONS: usize = 32;

/// POSTs one by one for the time, then on several connections for the CPU.
pub(super) async fn measure(receiver: &Receiver, repeats: usize) -> Result<Post> {
    let alone = repeats.min(200);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret(0));
    let endpoints = vec![Endpoint { behaviour: Behaviour::Answer, key: key.clone() }];
    receiver.expect(Plan { endpoints, events: alone + repeats, ..Plan::default() });
    let signer = Signer::new(&receiver.url(0, Behaviour::Answer), key)?;
    let url = receiver.url(0, Behaviour::Answer);

    let mut connection = Connection::open(&url).await?;
    let mut times = Vec::with_capacity(alone);
    for number in 0..alone {
        let begun = receiver.now_us();
        post(&mut connection, &signer, number).await?;
        times.push(receiver.now_us() - begun);
    }

    let before = (process::own_cpu(), receiver.cpu_us());
    let worker = async |first: usize| -> Result<()> {
        let mut connection = Connection::open(&url).await?;
        for number in (first..repeats).step_by(CONNECTIONS) {
            post(&mut connection, &signer, alone + number).await?;
        }
        Ok(())
    };
    try_join_all((0..CONNECTIONS).map(worker)).await?;
    let server = receiver.cpu_us() - before.1;
    let client = process::own_cpu().since(before.0).saturating_sub(server);
    let receipts = receiver.take();
    ensure!(receipts.faults.is_none(), "the floor's own POSTs were not received well: {:?}", receipts.faults);
    let each = |us: u64| crate::meter::float(us) / float_of(repeats);
    Ok(Post { client_us: each(client), server_us: each(server), round_trip_ms: quarter_ms(times) })
}

/// One, answered well.
pub(super) async fn post(connection: &mut Connection, signer: &Signer, number: usize) -> Result<()> {
    let request = signer.request(&format!("evt_{number:026}"), Events::data(number).into());
    let (status, _) = connection.send(request).await?;
    ensure!(status.is_success(), "the receiver answered {status}");
    Ok(())
}
