//! A site with documents, by https, whose certificate the issuer trusts.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use countersign_issuer::{Config, Outbound};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Page {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::json("{}") }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Answer = dyn Fn(&str) -> Page + Send + Sync;

/// Ends with the process: its thread waits for connections.
pub(crate) struct Site {
    pub(crate) url: String,
    certificate: String,
    answer: Arc<Mutex<Arc<Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let answer: Arc<Mutex<Arc<Answer>>> =
            Arc::new(Mutex::new(Arc::new(|_: &str| Page::status(404))));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let site = Self {
            url,
            certificate: made.cert.pem(),
            answer: Arc::clone(&answer),
            requests: Arc::clone(&requests),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                let requests = Arc::clone(&requests);
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    let mut stream = StreamOwned::new(connection, stream);
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
                    requests.lock().unwrap().push(head);
                    let answer = Arc::clone(&answer.lock().unwrap());
                    let page = answer(&path);
                    thread::sleep(page.delay);
                    let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", page.status);
                    text.push_str(&format!("content-length: {}\r\n", page.body.len()));
                    for (name, value) in &page.headers {
                        text.push_str(&format!("{name}: {value}\r\n"));
                    }
                    // The issuer may have hung up.
                    let _ = stream.write_all(format!("{text}\r\n{}", page.body).as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        site
    }

    /// Answers every path with this.
    pub(crate) fn serve(&self, page: Page) {
        self.serve_by(move |_| page.clone());
    }

    pub(crate) fn serve_by(&self, answer: impl Fn(&str) -> Page + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// The requests since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    pub(crate) fn client_id(&self) -> String {
        format!("{}/client.json", self.url)
    }

    /// A good document.
    pub(crate) fn document(&self) -> Value {
        json!({
            "client_id": self.client_id(),
            "client_name": "A described app",
            "redirect_uris": ["http://localhost/callback", crate::issuer::CALLBACK],
        })
    }

    /// Lets an issuer with files in this folder reach this site.
    pub(crate) fn allow(&self, config: &mut Config, folder: &Path) {
        let path = folder.join("site.pem");
        std::fs::write(&path, &self.certificate).unwrap();
        config.outbound = Outbound {
            allowed_networks: ["127.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap()).into(),
            certificates: Some(path),
        };
    }
}
