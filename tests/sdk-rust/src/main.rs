//! The official Rust SDK through Envoy: it is refused, finds the issuer, logs in, is refused again, asks
//! for more, and refreshes. Its whole OAuth implementation is its own; ours is, through open.mjs, the
//! person in front of the browser. Run by tests/e2e with the `DEMO_*` variables of tests/demo.
//!
//! Arguments: the protocol revision, or `legacy`; then the `client_id` that an administrator gave it, or
//! nothing: it registers itself.

use std::{env, error::Error, process::Command};

use rmcp::{
    ClientLifecycleMode, ClientServiceExt as _, RoleClient,
    model::{CallToolRequestParams, ClientConfig, ProtocolVersion},
    service::{ClientInitializeError, RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport,
        auth::{AuthClient, AuthorizationManager, AuthorizationRequest, OAuthState},
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Client = AuthClient<reqwest::Client>;
type Service = RunningService<RoleClient, ClientConfig>;

const REDIRECT_URI: &str = "http://127.0.0.1:33419/callback";

struct Walk {
    url: String,
    revision: String,
    steps: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let revision = arguments.next().ok_or("which revision?")?;
    let mut walk = Walk { url: env::var("DEMO_MCP")?, revision, steps: 0 };
    walk.run(arguments.next()).await?;
    println!("{} steps passed", walk.steps);
    Ok(())
}

impl Walk {
    async fn run(&mut self, client_id: Option<String>) -> Outcome<()> {
        // Without a token: the server's own challenge says where to go.
        let stranger = Client::new(reqwest::Client::new(), self.manager().await?);
        let Err(refused) = self.connect(stranger).await else {
            return Err("a client without a token was let in".into());
        };
        let challenge =
            challenge_in(refused.as_ref()).ok_or_else(|| format!("no challenge: {refused:?}"))?;
        self.passed(&format!("without a token: {challenge}"));

        let mut state = OAuthState::Unauthorized(self.manager().await?);
        let mut request = AuthorizationRequest::new(REDIRECT_URI)
            .with_client_name("Countersign test (Rust)")
            .with_initial_scope_selection()
            .with_challenge(challenge);
        if let Some(client_id) = client_id {
            request = request.with_preregistered_client(client_id);
        }
        state.start_authorization(request).await?;
        let url = state.get_authorization_url().await?;
        expect("PKCE with S256", url.contains("code_challenge_method=S256"))?;
        expect("a resource is named", url.contains("resource="))?;
        state.handle_callback_url(&open(&url)?).await?;
        self.passed("logged in");

        // Its token is refreshed before anything else, so that what follows stands on the new one.
        let before = state.get_credentials().await?;
        state.refresh_token().await?;
        let after = state.get_credentials().await?;
        expect("a refresh changes the tokens", token(&before)? != token(&after)?)?;
        self.passed("refreshed");

        let manager = state.into_authorization_manager().ok_or("not authorized")?;
        let client = Client::new(reqwest::Client::new(), manager);
        let manager = client.auth_manager.clone();
        let service = self.connect(client).await?;
        let tools = service.list_all_tools().await?;
        let mut names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        names.sort_unstable();
        expect("the tools are there", names == ["read_file", "write_file"])?;
        let read = call(&service, "read_file", json!({ "path": "notes.txt" })).await?;
        expect("a file can be read", read.starts_with("text:"))?;
        self.passed("read a file");

        let arguments = json!({ "path": "rust.txt", "content": "hello" });
        let Err(refused) = call(&service, "write_file", arguments.clone()).await else {
            return Err("a file was written without the scope".into());
        };
        let scope = scope_in(refused.as_ref()).ok_or_else(|| format!("no scope: {refused:?}"))?;
        expect("files:write is what lacks", scope.split(' ').any(|name| name == "files:write"))?;
        let manager = manager.lock().await;
        let url = manager.request_scope_upgrade(&scope).await?;
        let callback =
            rmcp::transport::auth::AuthorizationCallback::from_redirect_url(&open(&url)?)?;
        let (code, state) = (&callback.code, &callback.csrf_token);
        let issuer = callback.issuer.as_deref();
        manager.exchange_code_for_token_with_issuer(code, state, issuer).await?;
        drop(manager);
        self.passed("asked for more");
        let written = call(&service, "write_file", arguments).await?;
        expect("the file is written", written == "text:wrote 5 characters to rust.txt")?;
        self.passed("wrote a file");
        service.cancel().await?;
        Ok(())
    }

    async fn manager(&self) -> Outcome<AuthorizationManager> {
        Ok(AuthorizationManager::new(self.url.as_str()).await?)
    }

    async fn connect(&self, client: Client) -> Outcome<Service> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str());
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let lifecycle = match self.revision.as_str() {
            "legacy" => ClientLifecycleMode::Initialize,
            "2026-07-28" => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                ClientLifecycleMode::Discover { preferred_versions }
            }
            other => return Err(format!("what is {other}?").into()),
        };
        Ok(ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await?)
    }

    fn passed(&mut self, what: &str) {
        println!("ok {what}");
        self.steps += 1;
    }
}

/// Calls a tool; gives the kind and text of what it says first.
async fn call(
    service: &Service,
    name: &'static str,
    arguments: serde_json::Value,
) -> Outcome<String> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let request = CallToolRequestParams::new(name).with_arguments(arguments);
    let result = service.call_tool(request).await?;
    if result.is_error == Some(true) {
        return Err(format!("{name} failed: {result:?}").into());
    }
    let said = serde_json::to_value(&result.content)?;
    let part = |name: &str| said[0][name].as_str().unwrap_or_default().to_owned();
    Ok(format!("{}:{}", part("type"), part("text")))
}

/// What the person in front of the browser ends up with: the URL that the client listens at.
fn open(url: &str) -> Outcome<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk-python/open.mjs");
    let done = Command::new("node").args([script, url, REDIRECT_URI]).output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}

fn token(
    credentials: &(String, Option<rmcp::transport::auth::OAuthTokenResponse>),
) -> Outcome<String> {
    let tokens = credentials.1.as_ref().ok_or("there are no tokens")?;
    let tokens = serde_json::to_value(tokens)?;
    Ok(format!("{} {}", tokens["access_token"], tokens["refresh_token"]))
}

fn expect(what: &str, holds: bool) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("not so: {what}").into()) }
}

/// The SDK's own error of the transport, wherever it lies in a chain of errors: some of its types do not
/// name it as their source.
fn transport_error<'a>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a StreamableHttpError<reqwest::Error>> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match (error.downcast_ref(), error.downcast_ref()) {
            (Some(ClientInitializeError::TransportError { error, .. }), _)
            | (_, Some(ServiceError::TransportSend(error))) => Some(error.error.as_ref()),
            _ => error.source(),
        };
    }
    None
}

fn challenge_in(error: &(dyn Error + 'static)) -> Option<String> {
    transport_error(error)?.auth_challenge().map(str::to_owned)
}

fn scope_in(error: &(dyn Error + 'static)) -> Option<String> {
    match transport_error(error)? {
        StreamableHttpError::InsufficientScope(error) => {
            error.get_required_scope().map(str::to_owned)
        }
        _ => None,
    }
}
