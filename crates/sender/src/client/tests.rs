use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use http::header::CONTENT_TYPE;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use whimbrel_core::outcome::ErrorKind;
use whimbrel_testkit::receiver::{Receiver, Step};

use super::*;
use crate::egress::Reach;

/// A server that gives each request the next of its answers, byte for byte, and ends a connection after one that says
/// so; after the last answer it gives that again.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, given) = (connections.clone(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answers, given.clone()));
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, answers: &[&str], given: Arc<AtomicUsize>) {
    let mut stream = BufStream::new(stream);
    while read_request(&mut stream).await.is_some() {
        let place = given.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let (answer, ends) = answers[place].strip_suffix("<end>").map_or((answers[place], false), |text| (text, true));
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() || ends {
            break;
        }
    }
}

/// The head of a request, its body having been read, too.
async fn read_request(stream: &mut BufStream<TcpStream>) -> Option<Vec<String>> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push(line);
    }
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head)
}

fn loopback(proxy: Option<Url>) -> Arc<EgressPolicy> {
    let allow_networks = vec!["127.0.0.0/8".parse().expect("a network")];
    Arc::new(EgressPolicy { allow_http: true, allow_networks, proxy })
}

async fn post(client: &Client, policy: &EgressPolicy, url: &str) -> Result<(u16, String), Failure> {
    let to = Destination::new(&url.parse().expect("a url"), Reach::Anywhere, policy)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, "application/json".parse().expect("a value"));
    let answer = client.post(&to, headers, Bytes::from_static(b"{}")).await?;
    let status = answer.status().as_u16();
    let mut body = BytesMut::new();
    answer.capture(16, &mut body).await;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Posts twice: the answers, and how many connections that took.
async fn twice(answers: &'static [&'static str]) -> ([(u16, String); 2], usize) {
    let (policy, server) = (loopback(None), Server::start(answers).await);
    let client = Client::new(8, &policy).expect("a client");
    let first = post(&client, &policy, &server.url).await.expect("an answer");
    let second = post(&client, &policy, &server.url).await.expect("an answer");
    ([first, second], server.connections())
}

#[tokio::test]
async fn a_connection_is_used_again_after_an_answer_that_was_read() {
    for answer in [
        &["HTTP/1.1 204 No Content\r\n\r\n"][..],
        &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthank"],
        &["HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n0123456789abcdef"],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntha\r\n2\r\nnk\r\n0\r\n\r\n"],
        &["HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nkeep-alive: timeout=5, max=100\r\n\r\n"],
    ] {
        let ([first, second], connections) = twice(answer).await;
        assert_eq!((first, connections), (second, 1), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_last_is_not_used_again() {
    for answer in [
        &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n<end>"][..],
        &["HTTP/1.1 200 OK\r\n\r\nuntil the end<end>"],
        // It will be closed about now.
        &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\nkeep-alive: timeout=1\r\n\r\n"],
        // The rest of the body is nobody's.
        &["HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n0123456789abcdefg"],
    ] {
        let ([first, second], connections) = twice(answer).await;
        assert_eq!((first.0, second.0, connections), (200, 200, 2), "{answer:?}");
        assert!(first.1.len() <= 16);
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_nothing_but_a_new_one() {
    let (policy, server) =
        (loopback(None), Server::start(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok<end>"]).await);
    let client = Client::new(8, &policy).expect("a client");
    for round in 1..=20 {
        assert_eq!(post(&client, &policy, &server.url).await.expect("an answer").0, 200);
        let to = Destination::new(&server.url.parse().expect("a url"), Reach::Anywhere, &policy).expect("one");
        // Until the close has arrived here.
        whimbrel_testkit::wait::until("the connection's end is noticed", Duration::from_secs(5), async || {
            let idle = client.pool.take(&to.server);
            let gone = idle.is_none();
            if let Some(connection) = idle {
                client.pool.put(to.server.clone(), connection, None);
            }
            gone.then_some(())
        })
        .await
        .expect("it is");
        assert_eq!(server.connections(), round);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_by_its_kind() {
    let policy = loopback(None);
    let client = Client::new(8, &policy).expect("a client");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let silent = Server::start(&["<end>"]).await;
    let strange = Server::start(&["220 smtp.example ESMTP\r\n<end>"]).await;
    let unknown = Receiver::start_tls().await.expect("a receiver");
    for (url, kind) in [
        (format!("http://{free}/"), ErrorKind::Connect),
        (silent.url.clone(), ErrorKind::Protocol),
        (strange.url.clone(), ErrorKind::Protocol),
        (unknown.url("/hook"), ErrorKind::Tls),
        ("http://nowhere.invalid/".into(), ErrorKind::Dns),
    ] {
        let failure = post(&client, &policy, &url).await.expect_err("no answer");
        assert_eq!(failure.kind, kind, "{url}: {failure}");
        assert!(!failure.message.is_empty());
    }
    let closed = Arc::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() });
    let failure = post(&Client::new(8, &closed).expect("a client"), &closed, "http://localhost/").await;
    assert_eq!(failure.expect_err("refused").kind, ErrorKind::BlockedAddress);
}

#[tokio::test]
async fn https_is_verified_and_its_connections_are_used_again() {
    let (policy, receiver) = (loopback(None), Receiver::start_tls().await.expect("a receiver"));
    let client = trusting(&receiver, &policy);
    for _ in 0..3 {
        assert_eq!(post(&client, &policy, &receiver.url("/hook")).await.expect("an answer").0, 200);
    }
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn a_proxy_tunnels_https_and_reads_plain_http() {
    let receiver = Receiver::start_tls().await.expect("a receiver");
    let plain = Receiver::start().await.expect("a receiver");
    plain.otherwise([Step::status(202)]);
    let (proxy, mut seen) = proxy(receiver.address(), plain.address()).await;
    let policy = loopback(Some(proxy));
    let client = trusting(&receiver, &policy);

    assert_eq!(post(&client, &policy, &receiver.url("/hook")).await.expect("an answer").0, 200);
    let head = seen.recv().await.expect("a request");
    assert_eq!(head[0], format!("CONNECT localhost:{} HTTP/1.1", receiver.address().port()));
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("proxy-authorization: Basic bWU6cGFzcw==")), "{head:?}");
    assert_eq!(receiver.requests()[0].header("proxy-authorization"), None);

    // The name is for the proxy to resolve.
    assert_eq!(post(&client, &policy, "http://plain.invalid/hook?a").await.expect("an answer").0, 202);
    let head = seen.recv().await.expect("a request");
    assert_eq!(head[0], "POST http://plain.invalid/hook?a HTTP/1.1");
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("proxy-authorization: Basic bWU6cGFzcw==")), "{head:?}");
}

fn trusting(receiver: &Receiver, policy: &Arc<EgressPolicy>) -> Client {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from(receiver.certificate_der().expect("it has one").to_vec());
    roots.add(certificate).expect("a root");
    Client::trusting(8, roots, policy).expect("a client")
}

/// A proxy before these two, and the heads of the requests that come to it.
async fn proxy(
    tunnelled: std::net::SocketAddr,
    plain: std::net::SocketAddr,
) -> (Url, tokio::sync::mpsc::UnboundedReceiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://me:pass@{}", listener.local_addr().expect("an address"));
    let (heads, seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufStream::new(stream);
            let Some(head) = read_request(&mut stream).await else { continue };
            let connect = head[0].starts_with("CONNECT ");
            let _ = heads.send(head);
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(if connect { tunnelled } else { plain }).await.expect("upstream");
                if connect {
                    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.expect("an answer");
                    stream.flush().await.expect("an answer");
                } else {
                    let request = b"POST /hook HTTP/1.1\r\nhost: plain.invalid\r\ncontent-length: 2\r\n\r\n{}";
                    upstream.write_all(request).await.expect("a request");
                }
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
            });
        }
    });
    (url.parse().expect("a url"), seen)
}
