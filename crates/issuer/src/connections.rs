//! Connections: taken, served, and ended when the server is told to stop or nobody uses them.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, serve::Listener};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

/// A connection may be silent for so long, before a request and within its head: longer than the proxies
/// in front keep one that they do not use (60 s by default), and not for ever, since there are only so
/// many.
pub(crate) const SILENT: Duration = Duration::from_secs(75);

/// Serves until `shutdown` is done, and then what is under way.
pub(crate) async fn serve(
    mut listener: TcpListener,
    router: Router,
    silent: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let open = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            // What goes wrong with one is nobody else's concern; it waits when there are too many.
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut shutdown => break,
        };
        let service = {
            let router = router.clone();
            service_fn(move |request| answer(router.clone(), request, peer))
        };
        // Who does not read the answers is as silent as who does not ask.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(silent));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(silent)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // It broke off, or was no HTTP: there is nobody to be told.
            let _ = connection.await;
        });
    }
    drop(listener);
    open.shutdown().await;
}

async fn answer(
    mut router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<axum::response::Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.call(request).await
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        sync::oneshot,
    };

    use super::*;

    async fn start(silent: Duration) -> (SocketAddr, oneshot::Sender<()>, impl Future) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        };
        let router = Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow));
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, router, silent, async {
            let _ = stopped.await;
        }));
        (address, stop, serving)
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
        text
    }

    /// Whoever sends nothing, or half of a head, has a connection for a while only.
    #[tokio::test]
    async fn silent_connections_end() {
        let (address, _stop, _serving) = start(Duration::from_millis(200)).await;
        for sent in
            ["", "GET / HTTP/1.1\r\nhost: a\r\nx-long: ", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let begun = Instant::now();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let answer = rest(&mut stream).await;
            assert_eq!(answer.contains("here"), sent.ends_with("\r\n\r\n"), "{sent:?}: {answer}");
            assert!(begun.elapsed() >= Duration::from_millis(200), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn who_reads_no_answers_is_left() {
        let (address, stop, serving) = start(Duration::from_millis(200)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let asking = async {
            // Until no more is taken, and then the connection is closed.
            while stream.write_all(&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000)).await.is_ok()
            {
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_under_way_is_answered_when_the_server_stops() {
        let (address, stop, serving) = start(Duration::from_secs(60)).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
        assert!(rest(&mut stream).await.ends_with("done"));
        assert_eq!(rest(&mut idle).await, "");
        serving.await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
