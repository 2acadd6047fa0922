//! `countersign token`: what one token is worth, and its end.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use countersign_client::{Http, session::Session};
use countersign_core::Reason;
use countersign_issuer::{
    GrantState, Refusal, RevokedToken, TokenInfo, TokenKind, TokenReport, Tokens,
};
use serde_json::{Value, json};

use crate::{
    Global,
    credentials::Credentials,
    input, login,
    output::{Outcome, Problem, date, print},
    settings::{TokenOptions, open_existing_database},
};

/// Within so many seconds guards refuse what was revoked (docs/issuer.md).
const SEEN_WITHIN: u32 = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what an access or refresh token is worth now, and what the issuer knows of it
    ///
    /// The decision is that of the issuer's /introspect, for whomever the token is. Exit code 0: it is
    /// good; 1: it is not, and the reason is a code of docs/reasons.md. What stands in a token is shown
    /// only where this issuer has signed it. The token is never shown.
    Inspect(Shown),
    /// Revoke an access token alone, or with a refresh token its whole grant
    ///
    /// As the issuer's /revoke does for a client, whatever client the token belongs to. After an access
    /// token the client goes on with its refresh token; `countersign grant revoke` ends that too. What
    /// was revoked before stays so, and is no error.
    Revoke(Shown),
    /// Print the access token of a login, renewed if that is needed, for curl and other programs
    ///
    /// Of what `countersign login` keeps, not of the issuer. Whoever has the token can use it: give it on
    /// as it is, like -H "Authorization: Bearer $(countersign token show MCP_URL)". A token that is bound
    /// to a key (DPoP) is of no use to others, and is not printed.
    Show(Show),
}

/// Whose token is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The URL of the MCP server
    #[arg(value_name = "MCP_URL", value_parser = login::url)]
    url: String,
    #[command(flatten)]
    credentials: Credentials,
}

/// A token, and whose it should be.
#[derive(Debug, clap::Args)]
pub(crate) struct Shown {
    /// A file with the token; never the token itself, since others see command lines
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    options: TokenOptions,
}

pub(crate) async fn run(command: Command, global: &Global) -> Outcome {
    match command {
        Command::Show(arguments) => show(&arguments, global).await,
        Command::Inspect(shown) => {
            let (tokens, text) = shown.read(global).await?;
            inspect(&tokens.inspect(&text).await?, tokens.issuer(), global)
        }
        Command::Revoke(shown) => {
            let (tokens, text) = shown.read(global).await?;
            match tokens.revoke(&text).await? {
                RevokedToken::Ended(token, is_new) => revoked(&token, is_new, global),
                RevokedToken::Foreign(refusal) => {
                    let why = told(&refusal, tokens.issuer());
                    Err(Problem::new(refusal.reason.code(), format!("nothing was revoked: {why}")))
                }
            }
        }
    }
}

async fn show(arguments: &Show, global: &Global) -> Outcome {
    let (http, store) = (Http::new()?, arguments.credentials.store()?);
    let mut session = Session::open(&http, &store, &arguments.url)?;
    session.access_token().await?;
    let tokens = &session.login().tokens;
    if tokens.is_dpop {
        let text = "the token is bound to a key of this login, and of no use without it; \
                    `countersign call` sends it with a proof";
        return Err(Problem::new("token_bound", text));
    }
    let token = tokens.access_token.expose();
    let data =
        json!({ "access_token": token, "token_type": "Bearer", "expires_at": tokens.expires_at });
    print(global.json, &data, || token.to_owned())
}

impl Shown {
    async fn read(self, global: &Global) -> Result<(Tokens, String), Problem> {
        let text = read(&self.file)?;
        let config = self.options.resolve(global)?;
        let store = open_existing_database(global).await?;
        Ok((Tokens::open(store, &config).await?, text))
    }
}

/// The token, from a file or from standard input; a terminal does not show what is typed.
fn read(file: &Path) -> Result<String, Problem> {
    let text = if file.as_os_str() == "-" && io::stdin().is_terminal() {
        rpassword::prompt_password("Token: ")
            .map_err(|error| Problem::new("io_failed", format!("reading the token: {error}")))?
    } else {
        // Its name would be repeated where there is no such file.
        if is_token(file) {
            return Err(Problem::usage(
                "give the token in a file or on standard input: others see command lines, and the \
                 shell keeps them. Revoke this one",
            ));
        }
        input::read_text(file)?
    };
    match text.trim() {
        "" => Err(Problem::new("token_missing", format!("{}: there is no token", file.display()))),
        text => Ok(text.to_owned()),
    }
}

/// Whether somebody gave a token as the name of a file.
fn is_token(file: &Path) -> bool {
    let name = file.to_string_lossy();
    let is_refresh_token = name.len() > 40 && name.contains("rt_");
    (name.contains("eyJ") || is_refresh_token) && !file.exists()
}

fn inspect(report: &TokenReport, issuer: &str, global: &Global) -> Outcome {
    print(global.json, &report_data(report), || report_text(report, issuer))?;
    match &report.refused {
        None => Ok(()),
        Some(refusal) => Err(Problem::printed(refusal.reason.code())),
    }
}

fn report_data(report: &TokenReport) -> Value {
    let reason = report.refused.as_ref().map(|refusal| refusal.reason.code());
    let mut data = json!({ "active": reason.is_none(), "reason": reason });
    let Some(token) = &report.token else {
        return data;
    };
    let user = token.user.as_ref();
    data["token_type"] = json!(type_of(token));
    data["iss"] = json!(token.issuer);
    data["sub"] = json!(token.subject);
    data["user"] = json!(user.map(|user| &user.name));
    data["user_disabled"] = json!(user.map(|user| user.is_disabled));
    data["client_id"] = json!(token.client_id);
    data["client_name"] = json!(token.client_name);
    data["client_disabled"] = json!(token.client_name.as_ref().map(|_| token.client_disabled));
    data["aud"] = json!(token.audience);
    data["scope"] = json!(token.scope);
    data["jti"] = json!(token.id);
    data["iat"] = json!(token.issued_at);
    data["exp"] = json!(token.expires_at);
    data["bound_to"] = json!(token.bound_to);
    data["grant"] = token.grant.as_ref().map_or(Value::Null, |grant| {
        json!({
            "id": grant.id,
            "created_at": grant.created_at,
            "revoked_at": grant.revoked_at,
            "reason": grant.reason,
        })
    });
    data["status"] = token.status.as_ref().map_or(
        Value::Null,
        |status| json!({ "uri": status.uri, "idx": status.index, "revoked": status.is_revoked }),
    );
    data
}

const fn type_of(token: &TokenInfo) -> &'static str {
    match token.kind {
        TokenKind::Access => "access_token",
        TokenKind::Refresh => "refresh_token",
    }
}

const fn name_of(token: &TokenInfo) -> &'static str {
    match token.kind {
        TokenKind::Access => "access token",
        TokenKind::Refresh => "refresh token",
    }
}

fn report_text(report: &TokenReport, issuer: &str) -> String {
    let Some(token) = &report.token else {
        return report.refused.as_ref().map_or_else(String::new, |refusal| {
            format!("No token of this issuer: {}", told(refusal, issuer))
        });
    };
    let what = name_of(token);
    let mut lines = vec![match &report.refused {
        None => format!("This {what} is good."),
        Some(refusal) => format!("This {what} is worth nothing: {}", refused(token, refusal)),
    }];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<9} {value}"));
    line("issuer", token.issuer.clone());
    line("subject", subject(token));
    line("client", client(token));
    line("resource", token.audience.join(" "));
    line("scope", token.scope.clone());
    line("issued", token.issued_at.map_or_else(|| "-".to_owned(), date));
    line("expires", date(token.expires_at));
    line(
        "key",
        match &token.bound_to {
            Some(thumbprint) => format!("bound to the one with SHA-256 thumbprint {thumbprint}"),
            None if token.kind == TokenKind::Access => "none: whoever has it can use it".to_owned(),
            None => "none".to_owned(),
        },
    );
    if let Some(id) = &token.id {
        line("name", id.clone());
    }
    line("grant", token.grant.as_ref().map_or_else(|| "none".to_owned(), grant));
    if let Some(status) = &token.status {
        let state = if status.is_revoked { "revoked" } else { "not revoked" };
        line("status", format!("{state}, place {} of {}", status.index, status.uri));
    }
    lines.join("\n")
}

fn refused(token: &TokenInfo, refusal: &Refusal) -> String {
    let code = refusal.reason.code();
    match (refusal.reason, token.kind) {
        (Reason::TokenExpired, _) => format!("{code}, at {}", date(token.expires_at)),
        (Reason::TokenInactive, TokenKind::Refresh) => {
            format!("{code}, it was used and has a successor")
        }
        _ => code.to_owned(),
    }
}

/// Why a token is none of this issuer's.
fn told(refusal: &Refusal, issuer: &str) -> String {
    let Refusal { reason, detail } = refusal;
    match reason {
        Reason::IssuerUnknown => {
            let found = detail.as_deref().unwrap_or("").escape_debug();
            format!(
                "{reason}: it says \"{found}\", and this issuer is {issuer}. Name the issuer as \
                 `serve` has it: --config, COUNTERSIGN_ISSUER or --issuer"
            )
        }
        Reason::TokenInactive => {
            format!("{reason}: no refresh token of this database, or one that was deleted")
        }
        _ => {
            let detail = detail.as_ref().map(|detail| format!(" ({})", detail.escape_debug()));
            format!("{reason}{}: {}", detail.unwrap_or_default(), reason.meaning())
        }
    }
}

fn subject(token: &TokenInfo) -> String {
    let id = token.subject.as_deref().unwrap_or("-");
    match &token.user {
        Some(user) if user.is_disabled => format!("{id} (the user {}, disabled)", user.name),
        Some(user) => format!("{id} (the user {})", user.name),
        None if token.subject == token.client_id => "the client itself".to_owned(),
        None => format!("{id} (no such user any more)"),
    }
}

fn client(token: &TokenInfo) -> String {
    let id = token.client_id.as_deref().unwrap_or("-");
    match &token.client_name {
        // Anybody can register a name: escaped, it cannot play with the terminal.
        Some(name) if token.client_disabled => format!("{id} {name:?} (disabled)"),
        Some(name) => format!("{id} {name:?}"),
        None => format!("{id} (no such client any more)"),
    }
}

fn grant(grant: &GrantState) -> String {
    match grant.revoked_at {
        None => format!("{}, alive", grant.id),
        Some(at) => {
            let reason = grant.reason.as_deref().unwrap_or("-");
            format!("{}, ended {} ({reason})", grant.id, date(at))
        }
    }
}

fn revoked(token: &TokenInfo, is_new: bool, global: &Global) -> Outcome {
    let grant = token.grant.as_ref().map(|grant| &grant.id);
    let data = json!({
        "revoked": true,
        "changed": is_new,
        "token_type": type_of(token),
        "jti": token.id,
        "grant_id": grant,
        "client_id": token.client_id,
        "client_name": token.client_name,
        "sub": token.subject,
        "user": token.user.as_ref().map(|user| &user.name),
        "aud": token.audience,
        "seen_within": SEEN_WITHIN,
    });
    print(global.json, &data, || revoked_text(token, is_new))
}

fn revoked_text(token: &TokenInfo, is_new: bool) -> String {
    let which = match (token.kind, &token.id, &token.grant) {
        (TokenKind::Access, Some(id), _) => format!("access token {id}"),
        (TokenKind::Refresh, _, Some(grant)) => format!("grant {}", grant.id),
        _ => name_of(token).to_owned(),
    };
    let whose = format!(
        "of the client {}\nfor {}, resource {}",
        client(token),
        subject(token),
        token.audience.join(" ")
    );
    if !is_new {
        return format!("The {which} {whose},\nhad ended before: nothing has changed.");
    }
    let seen = format!(
        "inactive at /introspect now, and refused within {SEEN_WITHIN} seconds by guards that read \
         the status lists."
    );
    let rest = match (token.kind, &token.grant) {
        (TokenKind::Refresh, _) => {
            format!("Its refresh token works no more. Its access tokens are {seen}")
        }
        (TokenKind::Access, Some(grant)) if grant.revoked_at.is_none() => format!(
            "It is {seen}\nThe client can get another one with its refresh token, if it has one. To \
             end that too: countersign grant revoke {}",
            grant.id
        ),
        (TokenKind::Access, _) => format!("It is {seen}"),
    };
    format!("Revoked the {which} {whose}.\n{rest}")
}
