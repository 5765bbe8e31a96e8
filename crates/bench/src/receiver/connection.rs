//! One keep-alive connection.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::request::{self, Request};
use super::{Behaviour, Shared};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const GONE: &[u8] = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const UNKNOWN: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const MALFORMED: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Answers requests until the peer closes, or sends what is no request.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    // Small answers must not wait for more of them.
    let _ = stream.set_nodelay(true);
    loop {
        let length = match request::parse(&buffer) {
            Ok(Some(request)) => {
                let behaviour = shared_receipt(&shared, &request);
                let length = request.length;
                if answer(&mut stream, behaviour).await.is_none() {
                    return;
                }
                length
            }
            Ok(None) => match stream.read_buf(&mut buffer).await {
                Ok(1..) => 0,
                _ => return,
            },
            Err(_) => {
                let _ = stream.write_all(MALFORMED).await;
                return;
            }
        };
        buffer.advance(length);
    }
}

fn shared_receipt(shared: &Shared, request: &Request<'_>) -> Option<Behaviour> {
    let now = shared.now_us();
    let mut tally = shared.tally();
    let behaviour = tally.receive(request, now);
    if tally.is_complete() {
        shared.complete.notify_one();
    }
    behaviour
}

/// Writes what the endpoint answers; `None` when the connection has ended.
async fn answer(stream: &mut TcpStream, behaviour: Option<Behaviour>) -> Option<()> {
    let bytes = match behaviour {
        None => UNKNOWN,
        Some(Behaviour::Answer) => OK,
        Some(Behaviour::Fail) => FAILED,
        Some(Behaviour::Gone) => GONE,
        Some(Behaviour::After(delay)) => {
            tokio::select! {
                () = tokio::time::sleep(delay) => OK,
                () = closed(stream) => return None,
            }
        }
        Some(Behaviour::Never) => {
            closed(stream).await;
            return None;
        }
    };
    stream.write_all(bytes).await.ok()
}

/// Waits until the peer gives up. A client that waits for its answer sends nothing.
async fn closed(stream: &mut TcpStream) {
    let mut nothing = [0; 64];
    while matches!(stream.read(&mut nothing).await, Ok(1..)) {}
}
