//! The loopback server against browsers, pages that are open in them, and whoever else finds the port.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_core::oauth::{metadata::AuthorizationServerMetadata, scope::ScopeSet};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{
    Http, authorization,
    discovery::Server,
    tests::world::{login, metadata},
};

const ISSUER: &str = "https://auth.example.com";
const SHORT: Duration = Duration::from_secs(5);

async fn pending() -> (Pending, String) {
    let document = metadata(ISSUER).to_string();
    let metadata = AuthorizationServerMetadata::parse(document.as_bytes(), ISSUER).unwrap();
    let request = authorization::Request {
        server: &Server { issuer: ISSUER.to_owned(), metadata },
        client: &login("https://h/mcp", ISSUER).client,
        redirect_uri: "http://127.0.0.1:1/callback",
        resource: "https://h/mcp",
        scope: &ScopeSet::default(),
        dpop_jkt: None,
    };
    let pending = request.begin(&Http::new().unwrap(), 0).await.unwrap();
    let state = pending.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (pending, state)
}

/// Sends bytes, and reads to the end.
async fn send(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, target: &str) -> String {
    send(address, &format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")).await
}

/// OAuth 2.1 §7.14: what is no answer to this login changes nothing.
#[tokio::test]
async fn only_this_logins_answer_counts() {
    let callback = Callback::listen(None).await.unwrap();
    let address = callback.address;
    let (pending, state) = pending().await;
    let waiting = tokio::spawn(callback.answer(pending, None, SHORT, &|| {}));
    let good = format!("/callback?code=c&state={state}");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "404"),
        ("GET /favicon.ico HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "404"),
        (format!("GET /callback/?code=c&state={state} HTTP/1.1\r\nhost: h\r\n\r\n"), "404"),
        (format!("POST {good} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"), "404"),
        (format!("HEAD {good} HTTP/1.1\r\nhost: h\r\n\r\n"), "404"),
        ("GET /callback HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "400"),
        ("GET /callback?code=c HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "400"),
        ("GET /callback?code=c&state=x HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "400"),
        (format!("GET {good}&state=x HTTP/1.1\r\nhost: h\r\n\r\n"), "400"),
        ("GET /callback?error=access_denied&state=x HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = send(address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    let answer = get(address, &good).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The page has nothing of the request in it, and its URL goes nowhere.
    assert!(!answer.contains(&state) && answer.contains("referrer-policy: no-referrer"));
    let code = waiting.await.unwrap().unwrap();
    assert_eq!(code.code.expose(), "c");
    // Nobody listens any more.
    assert!(TcpStream::connect(address).await.is_err());
}

/// The first answer counts; a refusal is one as well.
#[tokio::test]
async fn the_first_answer_counts() {
    let callback = Callback::listen(None).await.unwrap();
    let address = callback.address;
    let (pending, state) = pending().await;
    let waiting = tokio::spawn(callback.answer(pending, None, SHORT, &|| {}));
    let refused = get(address, &format!("/callback?error=access_denied&state={state}")).await;
    assert!(refused.contains("did not succeed"), "{refused}");
    let late = TcpStream::connect(address).await;
    drop(late);
    assert_eq!(waiting.await.unwrap().unwrap_err().reason(), "authorization_refused");
}

/// Connections that say nothing, or half of something, keep nobody else out.
#[tokio::test]
async fn slow_clients() {
    let callback = Callback::listen(None).await.unwrap();
    let address = callback.address;
    let (pending, state) = pending().await;
    let waiting = tokio::spawn(callback.answer(pending, None, SHORT, &|| {}));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /callback?co").await.unwrap();
        slow.push(stream);
    }
    get(address, &format!("/callback?code=c&state={state}")).await;
    let ended = tokio::time::timeout(Duration::from_secs(2), waiting).await;
    assert!(ended.unwrap().unwrap().is_ok());
}

/// What is typed beside is passed over; the answer comes in any of its forms.
#[tokio::test]
async fn pasted_lines() {
    for form in [
        "http://127.0.0.1:1/callback?code=c&state=S",
        "  http://127.0.0.1:1/callback?code=c&state=S#f \r",
        "?code=c&state=S",
        "code=c&state=S",
    ] {
        let (sender, receiver) = mpsc::channel(4);
        let (pending, state) = pending().await;
        for line in ["", "yes", "https://evil.example.com/?code=d&state=x"] {
            sender.send(line.to_owned()).await.unwrap();
        }
        sender.send(form.replace('S', &state)).await.unwrap();
        let callback = Callback::listen(None).await.unwrap();
        let in_vain = AtomicUsize::new(0);
        let count = || {
            in_vain.fetch_add(1, Ordering::SeqCst);
        };
        let code = callback.answer(pending, Some(receiver), SHORT, &count).await.unwrap();
        // The empty line was nobody's attempt.
        assert_eq!(in_vain.into_inner(), 2);
        assert_eq!(code.code.expose(), "c", "{form}");
    }
}

/// A standard input that is closed is no answer: the browser may still come back.
#[tokio::test]
async fn nobody_pastes() {
    let callback = Callback::listen(None).await.unwrap();
    let address = callback.address;
    let (pending, state) = pending().await;
    let (sender, receiver) = mpsc::channel(1);
    drop(sender);
    let waiting = tokio::spawn(callback.answer(pending, Some(receiver), SHORT, &|| {}));
    sleep(Duration::from_millis(50)).await;
    get(address, &format!("/callback?code=c&state={state}")).await;
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn patience_has_an_end() {
    let callback = Callback::listen(None).await.unwrap();
    let (pending, _) = pending().await;
    let ended = callback.answer(pending, None, Duration::from_millis(50), &|| {}).await;
    assert_eq!(ended.unwrap_err(), Error::CallbackTimeout);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Without the state nothing is an answer, and nothing panics.
    #[test]
    fn queries_of_others(query in "[ -~]{0,60}", line in "\\PC{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (pending, state) = runtime.block_on(pending());
        prop_assert!(!pending.is_answered_by(&query));
        let (done, mut received) = oneshot::channel();
        let waiting = Arc::new(Mutex::new(Some(Waiting { pending, done })));
        prop_assert_eq!(take_pasted(&waiting, &line), None);
        prop_assert!(received.try_recv().is_err());
        let foreign = format!("{query}&iss=https://evil.example.com&state={state}");
        if let Some(is_good) = take(&waiting, &foreign) {
            prop_assert!(!is_good);
        }
    }
}
