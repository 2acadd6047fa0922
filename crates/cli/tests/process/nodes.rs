//! An issuer on one node or several, with somebody who can log in.

use countersign_testkit::postgres;

use crate::{
    browser::{Answer, Browser, encode, post_form},
    program::{Ended, Folder, Serving, free_port},
};

pub const PASSWORD: &str = "correct horse battery staple";
pub const CALLBACK: &str = "https://app.example.com/callback";

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Nodes of one issuer, and what they share.
pub struct Nodes {
    pub nodes: Vec<Serving>,
    pub client_id: String,
    ports: Vec<u16>,
    database: String,
    folder: Folder,
    _postgres: Option<postgres::Database>,
}

/// A client of one node, which may be gone.
#[derive(Clone, Debug)]
pub struct Client {
    issuer: String,
    pub url: String,
    pub id: String,
}

impl Nodes {
    /// One node on a SQLite file.
    pub fn on_sqlite() -> Self {
        Self::start("countersign.db".to_owned(), 1, None)
    }

    /// So many on one PostgreSQL server.
    pub fn on_postgres(count: usize) -> Self {
        let database = postgres::Database::new();
        Self::start(database.url(), count, Some(database))
    }

    fn start(database: String, count: usize, postgres: Option<postgres::Database>) -> Self {
        let folder = Folder::new();
        let run = |arguments: &[&str], input: &str| {
            folder.run_with(&[&["--database", &database], arguments].concat(), input)
        };
        run(&["user", "add", "ada", "--password-stdin"], PASSWORD).done();
        let resource = "https://mcp.example.com";
        run(&["resource", "add", resource, "--name", "Files", "--scope", "read=Read"], "").done();
        let add = ["--json", "client", "add", "--name", "App", "--redirect-uri", CALLBACK];
        let client_id = run(&add, "").json()["client_id"].as_str().unwrap().to_owned();
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut nodes =
            Self { nodes: Vec::new(), client_id, ports, database, folder, _postgres: postgres };
        for index in 0..count {
            let node = nodes.serve(index);
            nodes.nodes.push(node);
        }
        nodes
    }

    /// Runs a command beside them, to its end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        self.folder.run_with(&[&["--database", &self.database], arguments].concat(), input)
    }

    /// Starts a node that was killed.
    pub fn restart(&mut self, index: usize) {
        self.nodes[index] = self.serve(index);
    }

    fn serve(&self, index: usize) -> Serving {
        let issuer = self.issuer();
        let arguments = ["--database", &self.database, "--issuer", &issuer];
        let arguments = [&arguments[..], &["--key-file", "countersign.key"]].concat();
        self.folder.serve(self.ports[index], &arguments, &[])
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    pub fn client(&self, index: usize) -> Client {
        let url = format!("http://127.0.0.1:{}", self.ports[index]);
        Client { issuer: self.issuer(), url, id: self.client_id.clone() }
    }
}

impl Client {
    pub fn new(issuer: &str, url: &str, id: &str) -> Self {
        Self { issuer: issuer.to_owned(), url: url.to_owned(), id: id.to_owned() }
    }

    /// Another client of the same node.
    pub fn named(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    fn token(&self, parameters: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let parameters = [&[("client_id", self.id.as_str())], parameters].concat();
        post_form(&format!("{}/token", self.url), "", &parameters)
    }

    pub fn redeem(&self, code: &str) -> Result<Answer, ureq::Error> {
        let grant = ("grant_type", "authorization_code");
        self.token(&[grant, ("code", code), ("code_verifier", VERIFIER)])
    }

    pub fn refresh(&self, token: &str) -> Result<Answer, ureq::Error> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// A code; after the first time the consent is remembered, and no page comes.
    pub fn code(&self, browser: &mut Browser) -> Result<String, ureq::Error> {
        browser.via = Some((self.issuer.clone(), self.url.clone()));
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        browser.code(&format!("{}/authorize?{query}", self.issuer), "ada", PASSWORD)
    }
}
