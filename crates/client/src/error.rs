//! What can go wrong between this client, an MCP server and its authorization server.

use std::{fmt, path::PathBuf};

use countersign_core::oauth::metadata::MetadataError;

use crate::{Refusal, text::login_command};

/// Why a client could not do what it was asked for. Each has a stable [code](Self::reason), and says in
/// words what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An answer is not what the protocol has there; whose it is, and what is wrong with it.
    Answer {
        /// What was called.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The user or the authorization server refused.
    AuthorizationRefused(Refusal),
    /// The redirect that was received is not the answer to the request that was sent (RFC 9207, OAuth
    /// 2.1 §7.14); the text says how it differs. Nothing of it is used.
    CallbackForeign(&'static str),
    /// Nobody came back from the browser in time.
    CallbackTimeout,
    /// No way is left to become a client of this authorization server.
    ClientUnknown {
        /// The authorization server.
        issuer: String,
    },
    /// The server forbids it, and names no scope that would help.
    Forbidden {
        /// What was called.
        url: String,
    },
    /// The authorization server's metadata are not usable.
    IssuerMetadata {
        /// What was called.
        url: String,
        /// What is wrong.
        error: MetadataError,
    },
    /// The authorization server has no metadata where they should stand.
    IssuerMetadataMissing {
        /// The authorization server.
        issuer: String,
    },
    /// It answers, but says that it is another one: its metadata must not be used (RFC 8414 §3.3).
    IssuerMismatch {
        /// The authorization server.
        issuer: String,
        /// What was called.
        url: String,
    },
    /// The server asks for what a person or a model has to give, and not a command line.
    InputRequired,
    /// The issuer that was asked for is none of the resource's.
    IssuerNotListed {
        /// The authorization server.
        issuer: String,
        /// Those that the resource names.
        listed: Vec<String>,
    },
    /// A secret is to be shown to an authorization server that only the MCP server names.
    IssuerRequired {
        /// Those that the resource names.
        listed: Vec<String>,
    },
    /// There is no token for this server, and none can be had without a user.
    LoginRequired {
        /// What was called.
        url: String,
    },
    /// The server answers with an error of MCP or JSON-RPC.
    Mcp {
        /// The code of JSON-RPC.
        code: i64,
        /// The server's words.
        message: String,
    },
    /// The server asks for no token and has no metadata.
    NotProtected {
        /// What was called.
        url: String,
    },
    /// The authorization server does not say that it does PKCE with S256; a client must refuse it then
    /// (MCP authorization, security considerations).
    PkceMissing {
        /// The authorization server.
        issuer: String,
    },
    /// No randomness, or a key that cannot be used.
    Crypto(&'static str),
    /// The server redirects, which is not followed.
    Redirected {
        /// What was called.
        url: String,
        /// Where it points.
        to: String,
    },
    /// The authorization server does not register this client.
    RegistrationRefused(Refusal),
    /// A request to an MCP server that cannot be sent; what is wrong with it.
    Request(&'static str),
    /// The resource's metadata are not usable.
    ResourceMetadata {
        /// What was called.
        url: String,
        /// What is wrong.
        error: MetadataError,
    },
    /// The metadata are another resource's (RFC 9728 §3.3).
    ResourceMismatch {
        /// What was called.
        url: String,
        /// Whose they are.
        resource: String,
    },
    /// The authorization server did not revoke.
    RevocationRefused(Refusal),
    /// The MCP server speaks no revision that this client speaks.
    RevisionUnknown {
        /// What was called.
        url: String,
        /// Those that it names.
        listed: Vec<String>,
    },
    /// The server asks for scopes although the token was made with them.
    ScopeInsufficient {
        /// What it asks for.
        scope: String,
    },
    /// More scopes are needed, which only a user can allow.
    StepUpRequired {
        /// What was called.
        url: String,
        /// All that a login has to ask for.
        scope: String,
    },
    /// The file with tokens cannot be read or written.
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The TLS library cannot be set up.
    Tls,
    /// The authorization server gave no token.
    TokenRefused(Refusal),
    /// The server refuses a token that was just made for it.
    TokenRejected {
        /// What was called.
        url: String,
    },
    /// An answer is longer than is read.
    TooLong {
        /// What was called.
        url: String,
        /// The bound, in bytes.
        limit: usize,
    },
    /// A tool that must not be called, since its description is not in order.
    ToolExcluded {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server has no time for requests now.
    Unavailable {
        /// What was called.
        url: String,
        /// 429 or 503.
        status: u16,
        /// After how many seconds it wants to be asked again, where it says it.
        retry_after: Option<u64>,
    },
    /// No answer came.
    Unreachable {
        /// What was called.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// A URL that is not to be called.
    Url {
        /// What was called.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Error {
    /// A stable snake_case code.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer_invalid",
            Self::AuthorizationRefused(_) => "authorization_refused",
            Self::CallbackForeign(_) => "callback_foreign",
            Self::CallbackTimeout => "callback_timeout",
            Self::ClientUnknown { .. } => "client_unknown",
            Self::Crypto(_) => "crypto_failed",
            Self::InputRequired => "input_required",
            Self::Forbidden { .. } => "forbidden",
            Self::IssuerMetadata { .. } => "issuer_metadata_invalid",
            Self::IssuerMetadataMissing { .. } => "issuer_metadata_missing",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::IssuerNotListed { .. } => "issuer_not_listed",
            Self::IssuerRequired { .. } => "issuer_required",
            Self::LoginRequired { .. } => "login_required",
            Self::Mcp { .. } => "mcp_error",
            Self::NotProtected { .. } => "not_protected",
            Self::PkceMissing { .. } => "pkce_missing",
            Self::Redirected { .. } => "redirected",
            Self::RegistrationRefused(_) => "registration_refused",
            Self::Request(_) => "request_invalid",
            Self::ResourceMetadata { .. } => "resource_metadata_invalid",
            Self::ResourceMismatch { .. } => "resource_mismatch",
            Self::RevocationRefused(_) => "revocation_refused",
            Self::RevisionUnknown { .. } => "revision_unknown",
            Self::ScopeInsufficient { .. } => "scope_insufficient",
            Self::StepUpRequired { .. } => "step_up_required",
            Self::Store { .. } => "store_failed",
            Self::Tls => "tls_failed",
            Self::TokenRefused(_) => "token_refused",
            Self::TokenRejected { .. } => "token_rejected",
            Self::TooLong { .. } => "answer_too_long",
            Self::ToolExcluded { .. } => "tool_excluded",
            Self::Unavailable { .. } => "server_unavailable",
            Self::Unreachable { .. } => "server_unreachable",
            Self::Url { .. } => "url_invalid",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { url, why } => write!(f, "{url}: {why}"),
            Self::AuthorizationRefused(refusal) => {
                write!(f, "the authorization server says {refusal}")
            }
            Self::CallbackForeign(why) => write!(
                f,
                "what came back from the browser is not the answer to this login: {why}; log in again"
            ),
            Self::CallbackTimeout => {
                f.write_str("nobody came back from the browser in time; log in again")
            }
            Self::ClientUnknown { issuer } => write!(
                f,
                "{issuer} registers no clients by itself: ask its administrator for a client, and give \
                 it with --client-id (on Countersign: countersign client add)"
            ),
            Self::Crypto(why) | Self::Request(why) => f.write_str(why),
            Self::InputRequired => f.write_str(
                "the server asks for more input (an answer of a user or of a model) before it goes \
                 on, which this client cannot give; use another client for this",
            ),
            Self::Forbidden { url } => write!(
                f,
                "{url} forbids this (403), and names no scope that would allow it; its operator can say \
                 more"
            ),
            Self::IssuerMetadata { url, error } | Self::ResourceMetadata { url, error } => {
                write!(f, "{url}: {error}")
            }
            Self::IssuerMetadataMissing { issuer } => write!(
                f,
                "{issuer} has no authorization server metadata at any of the places where MCP looks"
            ),
            Self::IssuerMismatch { issuer, url } => write!(
                f,
                "{url} is not the metadata of {issuer}: the issuer in it must be the same byte for \
                 byte (RFC 8414 §3.3)"
            ),
            Self::IssuerNotListed { issuer, listed } => write!(
                f,
                "the server does not take tokens of {issuer}; it names {}",
                listed.join(", ")
            ),
            Self::IssuerRequired { listed } => write!(
                f,
                "what proves who the client is goes to no authorization server that only the MCP server \
                 names: say with --issuer where it belongs; the MCP server names {}",
                listed.join(", ")
            ),
            Self::LoginRequired { url } => {
                write!(f, "no token for {url}; next: {}", login_command(url, ""))
            }
            Self::Mcp { code, message } => write!(f, "the MCP server says: {message} ({code})"),
            Self::NotProtected { url } => write!(
                f,
                "{url} asks for no token and has no metadata (RFC 9728): there is nothing to log in to"
            ),
            Self::PkceMissing { issuer } => write!(
                f,
                "the metadata of {issuer} do not list S256 in code_challenge_methods_supported; MCP \
                 forbids to go on"
            ),
            Self::Redirected { url, to } => write!(
                f,
                "{url} redirects to {to}; if that is the server that you mean, use that URL"
            ),
            Self::RegistrationRefused(refusal) => {
                write!(f, "the authorization server does not register this client: {refusal}")
            }
            Self::ResourceMismatch { url, resource } => write!(
                f,
                "the metadata for {url} are those of {resource:?} (RFC 9728 §3.3); if that is the server \
                 you mean, use that URL"
            ),
            Self::RevocationRefused(refusal) => {
                write!(f, "the authorization server did not revoke: {refusal}")
            }
            Self::RevisionUnknown { url, listed } => {
                let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
                write!(
                    f,
                    "{url} speaks no revision of MCP that this client speaks; it names {listed}"
                )
            }
            Self::ScopeInsufficient { scope } => write!(
                f,
                "the server asks for the scope {scope}, and goes on asking although the token was made \
                 for it; the user may not have it"
            ),
            Self::StepUpRequired { url, scope } => write!(
                f,
                "the server asks for more than the login has; next: {}",
                login_command(url, scope)
            ),
            Self::Store { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Tls => f.write_str("the TLS library cannot be set up"),
            Self::TokenRefused(refusal) => {
                write!(f, "the authorization server gives no token: {refusal}")
            }
            Self::TokenRejected { url } => write!(
                f,
                "{url} refuses a token that was just made for it; whoever runs it has to find out why: \
                 which issuers and which audience it takes, and what its clock says"
            ),
            Self::TooLong { url, limit } => {
                write!(f, "{url}: the answer is longer than {limit} bytes")
            }
            Self::ToolExcluded { name, why } => write!(
                f,
                "the tool {name:?} must not be called: {why}; whoever runs the server has to mend its \
                 inputSchema"
            ),
            Self::Unavailable { url, status, retry_after: Some(seconds) } => {
                write!(f, "{url}: status {status}; try again in {seconds} seconds")
            }
            Self::Unavailable { url, status, retry_after: None } => {
                write!(f, "{url}: status {status}; try again later")
            }
            Self::Unreachable { url, why } => write!(f, "{url}: {why}"),
            Self::Url { url, why } => write!(f, "{url:?}: {why}"),
        }
    }
}

impl std::error::Error for Error {}
