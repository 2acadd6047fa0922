//! The pages that people see: rendered here, without scripts, never inside a frame.

use axum::{
    http::{StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::oauth::scope::ScopeSet;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::reply;
use crate::{
    Error, client_document, redirect_uri, secret,
    store::{Client, ClientKind, Resource},
};

const STYLE: &str = include_str!("../../templates/style.css");
const TEMPLATES: [(&str, &str); 6] = [
    ("base.html", include_str!("../../templates/base.html")),
    ("consent.html", include_str!("../../templates/consent.html")),
    ("device.html", include_str!("../../templates/device.html")),
    ("leave.html", include_str!("../../templates/leave.html")),
    ("login.html", include_str!("../../templates/login.html")),
    ("message.html", include_str!("../../templates/message.html")),
];

/// The templates, checked when the server starts.
pub(super) struct Pages {
    environment: Environment<'static>,
    policy: String,
}

/// What the login page shows.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) client: &'a str,
    pub(super) resource: &'a str,
    pub(super) interaction: &'a str,
    pub(super) csrf: &'a str,
    /// What was typed before; empty at first.
    pub(super) username: &'a str,
    pub(super) problem: Option<&'a str>,
}

/// What the consent page shows.
#[derive(Debug)]
pub(super) struct Consent<'a> {
    /// What the device shows, where one waits for the answer.
    pub(super) code: Option<&'a str>,
    pub(super) client: &'a Client,
    pub(super) redirect_uri: &'a str,
    pub(super) resource: &'a Resource,
    pub(super) scopes: &'a ScopeSet,
    pub(super) user: &'a str,
    pub(super) interaction: &'a str,
    pub(super) csrf: &'a str,
}

impl Pages {
    pub(super) fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            environment
                .add_template(name, source)
                .map_err(|error| Error::Config(format!("template {name}: {error}")))?;
        }
        environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
        let style = STANDARD.encode(secret::sha256(&[STYLE.as_bytes()]));
        // No form-action: browsers apply it to the redirect after the form, and the client's own.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'"
        );
        Ok(Self { environment, policy })
    }

    pub(super) fn login(&self, status: StatusCode, login: &Login<'_>) -> Response {
        let context = context! {
            client => shown(login.client),
            resource => login.resource,
            interaction => login.interaction,
            csrf => login.csrf,
            username => login.username,
            problem => login.problem,
        };
        self.render(status, "login.html", context)
    }

    pub(super) fn consent(&self, consent: &Consent<'_>) -> Response {
        let scopes: Vec<Value> = consent
            .scopes
            .iter()
            .map(|scope| {
                let text = match scope.as_str() {
                    "openid" => Some("Know who you are"),
                    "profile" => Some("See your user name"),
                    "email" => Some("See your e-mail address"),
                    "offline_access" => Some("Stay connected while you are away"),
                    _ => consent.resource.description(scope),
                };
                context! { name => scope.as_str(), text => text.unwrap_or("") }
            })
            .collect();
        let context = context! {
            client => shown(&consent.client.name),
            client_id => &consent.client.id,
            code => consent.code,
            verified => consent.client.kind == ClientKind::Static,
            site => client_document::site(&consent.client.id),
            only_local => consent.client.redirect_uris.iter().all(|uri| redirect_uri::is_local(uri)),
            host => redirect_uri::shown_host(consent.redirect_uri),
            local => redirect_uri::is_local(consent.redirect_uri),
            resource => &consent.resource.name,
            resource_uri => &consent.resource.uri,
            scopes,
            user => consent.user,
            interaction => consent.interaction,
            csrf => consent.csrf,
        };
        self.render(StatusCode::OK, "consent.html", context)
    }

    /// Asks for the code that a device shows.
    pub(super) fn device(
        &self,
        status: StatusCode,
        csrf: &str,
        user_code: &str,
        problem: Option<&str>,
    ) -> Response {
        self.render(status, "device.html", context! { csrf, user_code, problem })
    }

    /// An error that could not be redirected by itself, with a link for who wants to go on.
    pub(super) fn leave(&self, client: &str, text: &str, host: &str, location: &str) -> Response {
        let client = shown(client);
        let context = context! { client, text, host, location };
        self.render(StatusCode::BAD_REQUEST, "leave.html", context)
    }

    pub(super) fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.render(status, "message.html", context! { title, text })
    }

    fn render(&self, status: StatusCode, name: &str, context: Value) -> Response {
        let body = self.environment.get_template(name).and_then(|page| page.render(context));
        let mut response = match body {
            Ok(body) => reply::with_type(status, "text/html; charset=utf-8", body),
            Err(error) => {
                tracing::error!(reason = "page_failed", "rendering {name}: {error}");
                reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.\n")
            }
        };
        let headers = response.headers_mut();
        reply::set(headers, header::CONTENT_SECURITY_POLICY, &self.policy);
        reply::set(headers, header::X_FRAME_OPTIONS, "DENY");
        reply::set(headers, header::REFERRER_POLICY, "no-referrer");
        reply::set(headers, header::CACHE_CONTROL, "no-store");
        response
    }
}

/// A client's name as it may be shown: without characters that hide, turn others around, or are not to be
/// seen. The templates keep names that run from right to left apart from the words around them (`bdi`).
fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    // Unicode's formats (Cf), separators of lines and paragraphs, variation selectors, and letters that
    // look like nothing.
    let hides = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{ad}'
                    | '\u{34f}'
                    | '\u{600}'..='\u{605}'
                    | '\u{61c}'
                    | '\u{6dd}'
                    | '\u{70f}'
                    | '\u{890}'..='\u{891}'
                    | '\u{8e2}'
                    | '\u{115f}'..='\u{1160}'
                    | '\u{17b4}'..='\u{17b5}'
                    | '\u{180b}'..='\u{180f}'
                    | '\u{200b}'..='\u{200f}'
                    | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0f}'
                    | '\u{feff}'
                    | '\u{ffa0}'
                    | '\u{fff0}'..='\u{fffb}'
                    | '\u{110bd}'
                    | '\u{110cd}'
                    | '\u{13430}'..='\u{1343f}'
                    | '\u{1bca0}'..='\u{1bca3}'
                    | '\u{1d173}'..='\u{1d17a}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
    };
    let mut text: String = name.chars().filter(|c| !hides(*c)).take(LONGEST + 1).collect();
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain(['…']).collect();
    }
    if text.trim().is_empty() { "An application without a name".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_hide_anything() {
        assert_eq!(shown("Ev\u{202e}il\u{200b} App\n"), "Evil App");
        for nothing in [" \u{200b}", "\u{3164}", "\u{2800}\u{a0}", "\u{e0041}", "\u{61c}\u{2029}"] {
            assert_eq!(shown(nothing), "An application without a name", "{nothing:?}");
        }
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 81);
    }
}
