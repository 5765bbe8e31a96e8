use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Receiver, Step};
use crate::http;

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(50);

async fn post(receiver: &Receiver, path: &str) -> Result<reqwest::Response> {
    Ok(http::client().post(receiver.url(path)).body("{}").send().await?)
}

#[tokio::test]
async fn requests_are_kept_byte_for_byte() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut stream = TcpStream::connect(receiver.address()).await?;
    let sent =
        b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nwebhook-ID: 1\r\nX-B: 2\r\nx-a: 3\r\nContent-Length: 4\r\n\r\n\0\xff{}";
    // In two parts, so that the head comes apart.
    stream.write_all(&sent[..40]).await?;
    stream.flush().await?;
    stream.write_all(&sent[40..]).await?;
    let requests = receiver.wait_for(1, SOON).await?;
    let request = &requests[0];

    assert_eq!((request.method.as_str(), request.target.as_str(), request.path()), ("POST", "/a/b?c=d", "/a/b"));
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "webhook-ID", "X-B", "x-a", "Content-Length"]);
    assert_eq!(request.header("Webhook-Id"), Some("1"));
    assert_eq!(request.body.as_ref(), b"\0\xff{}");
    Ok(())
}

#[tokio::test]
async fn a_script_is_followed_and_its_last_step_repeats() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.on("/scripted", [Step::status(503).header("Retry-After", "7"), Step::respond(201, "made")]);
    receiver.otherwise([Step::status(404)]);

    let first = post(&receiver, "/scripted?q").await?;
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"7".parse()?));
    for _ in 0..2 {
        let next = post(&receiver, "/scripted").await?;
        assert_eq!(next.status(), 201);
        assert_eq!(next.text().await?, "made");
    }
    assert_eq!(post(&receiver, "/other").await?.status(), 404);
    assert_eq!(receiver.count(), 4);
    Ok(())
}

#[tokio::test]
async fn a_connection_serves_many_requests() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(200), Step::status(204)]);
    let client = http::client();
    for _ in 0..3 {
        client.post(receiver.url("/")).body("x").send().await?.bytes().await?;
    }
    let connections: Vec<_> = receiver.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn delays_come_before_the_answer() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(200).after(A_WHILE).after(A_WHILE)]);
    let start = Instant::now();
    assert_eq!(post(&receiver, "/").await?.status(), 200);
    assert!(start.elapsed() >= A_WHILE * 2);
    Ok(())
}

#[tokio::test]
async fn a_hanging_receiver_records_but_never_answers() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::Hang]);
    let (one, other) = (post(&receiver, "/"), post(&receiver, "/"));
    let both = futures::future::join(one, other);
    tokio::pin!(both);
    assert!(timeout(A_WHILE * 4, &mut both).await.is_err());
    receiver.wait_for(2, SOON).await?;
    assert_eq!(receiver.in_flight_max(), 2);
    Ok(())
}

#[tokio::test]
async fn connections_are_closed_without_an_answer_or_with_nonsense() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.on("/closes", [Step::CloseConnection]);
    receiver.on("/nonsense", [Step::Raw(Bytes::from_static(b"nonsense\r\n\r\n"))]);
    assert!(post(&receiver, "/closes").await.is_err());
    assert!(post(&receiver, "/nonsense").await.is_err());
    assert_eq!(receiver.count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_dripping_body_never_ends() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::DripBody { status: 200, every: Duration::from_millis(5) }]);
    let response = post(&receiver, "/").await?;
    assert_eq!(response.status(), 200);
    let first: Vec<_> = response.bytes_stream().take(3).collect().await;
    assert!(first.iter().all(|part| part.as_ref().is_ok_and(|part| !part.is_empty())));
    Ok(())
}

#[tokio::test]
async fn a_huge_body_has_its_length() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::HugeBody { status: 500, bytes: 1_000_001 }]);
    let response = post(&receiver, "/").await?;
    assert_eq!(response.status(), 500);
    assert_eq!(response.bytes().await?.len(), 1_000_001);
    Ok(())
}

#[tokio::test]
async fn redirects_point_elsewhere() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::Redirect("http://169.254.169.254/".into())]);
    let response = post(&receiver, "/").await?;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (302, &"http://169.254.169.254/".parse()?)
    );
    Ok(())
}

#[tokio::test]
async fn waiting_is_woken_by_the_request_it_waits_for() -> Result<()> {
    let receiver = Receiver::start().await?;
    let wanted = receiver.wait_until(|requests| requests.iter().any(|request| request.path() == "/wanted"), SOON);
    let calls = async {
        post(&receiver, "/other").await?;
        post(&receiver, "/wanted").await
    };
    let (requests, _) = futures::future::try_join(wanted, calls).await?;
    assert_eq!(requests.len(), 2);

    let error = receiver.wait_for(3, A_WHILE).await.expect_err("only two came").to_string();
    assert!(error.contains("POST /wanted, POST /other"), "{error}");
    Ok(())
}

#[tokio::test]
async fn tls_is_refused_by_those_who_do_not_trust_it_and_works_for_those_who_do() -> Result<()> {
    let receiver = Receiver::start_tls().await?;
    assert!(post(&receiver, "/").await.is_err());
    assert_eq!(receiver.count(), 0);

    let certificate = reqwest::Certificate::from_der(receiver.certificate_der().expect("it speaks TLS"))?;
    let trusting = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build()?;
    assert_eq!(trusting.post(receiver.url("/")).send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_request_it_does_not_understand_is_answered_400_and_not_recorded() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut stream = TcpStream::connect(receiver.address()).await?;
    stream.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(receiver.count(), 0);
    Ok(())
}

/// Load tests in debug builds lean on this: thousands of requests a second must not be the receiver's limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_are_all_recorded() -> Result<()> {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 1000;
    let receiver = Receiver::start().await?;
    let address = receiver.address();
    let start = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| tokio::spawn(pipeline(address, EACH)));
    futures::future::try_join_all(clients).await?.into_iter().collect::<Result<Vec<_>>>()?;
    println!("{} requests in {:?}", receiver.count(), start.elapsed());
    assert_eq!(receiver.count(), CONNECTIONS * EACH);
    Ok(())
}

/// Sends requests one after another over one connection, as cheaply as can be, so that the receiver is what is measured.
async fn pipeline(address: std::net::SocketAddr, count: usize) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    let mut answer = [0; 256];
    for _ in 0..count {
        stream.write_all(request).await?;
        let read = stream.read(&mut answer).await?;
        anyhow::ensure!(answer[..read].starts_with(b"HTTP/1.1 200"), "no answer");
    }
    Ok(())
}
