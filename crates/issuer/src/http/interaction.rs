//! Login and consent: one page after the other, bound to the browser that began.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use countersign_core::{jose::base64url, oauth::scope::ScopeSet};

use super::{
    App,
    approval::{code, is_remembered},
    authorize::Back,
    cookies::Cookie,
    limit::Visitor,
    pages::{Consent, Login},
    params::Params,
    reply,
    request::{AuthorizationRequest, check_scope},
    verification,
};
use crate::{
    Error, clock, password,
    secret::{self, Kind},
    store::{Client, Resource, SessionRow},
};

/// How long a login lasts, in seconds.
const SESSION_LIFETIME: i64 = 12 * 3600;

/// A request for a page, with the cookies it brought.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    headers: &'a HeaderMap,
    visitor: Visitor,
    browser: Option<String>,
    session: Option<String>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(app: &App, headers: &'a HeaderMap, visitor: Visitor) -> Self {
        Self {
            headers,
            visitor,
            browser: Cookie::Browser.read(&app.issuer, headers),
            session: Cookie::Session.read(&app.issuer, headers),
        }
    }

    /// The same of a browser that is given this name now.
    pub(super) fn named(self, browser: &str) -> Self {
        Self { browser: Some(browser.to_owned()), ..self }
    }

    /// Proves that a form comes from a page made for this browser, interaction and session. The
    /// same for each showing of the page.
    pub(super) fn csrf(&self, interaction: &str) -> String {
        let browser = self.browser.as_deref().unwrap_or("");
        let session = self.session.as_deref().unwrap_or("");
        let parts = ["csrf", browser, interaction, session].map(str::as_bytes);
        base64url::encode(secret::sha256(&[
            parts[0],
            &[0],
            parts[1],
            &[0],
            parts[2],
            &[0],
            parts[3],
        ]))
    }
}

/// An interaction as it stands now.
struct Open {
    id: String,
    request: AuthorizationRequest,
    client: Client,
    resource: Resource,
    session: Option<SessionRow>,
}

/// Why somebody sees the login page again.
struct Failure<'a> {
    status: StatusCode,
    username: &'a str,
    text: &'a str,
}

/// Shows the page that comes next.
pub(super) async fn show(app: &Arc<App>, visit: &Visit<'_>, id: &str) -> Result<Response, Error> {
    let open = match open(app, visit, id).await? {
        Ok(open) => open,
        Err(response) => return Ok(response),
    };
    match &open.session {
        None => Ok(login_page(app, visit, &open, None)),
        Some(session) if !open.request.takes_login_of(session.auth_time) => {
            Ok(login_page(app, visit, &open, None))
        }
        Some(session) if is_remembered(app, &open.request, &open.client, session).await? => {
            Ok(approve(app, &open, session).await?.unwrap_or_else(|| stale(app)))
        }
        Some(session) => Ok(app.pages.consent(&Consent {
            code: verification::user_code(app, &open.request)?.as_deref(),
            client: &open.client,
            redirect_uri: &open.request.redirect_uri,
            resource: &open.resource,
            scopes: &open.request.scopes(),
            user: &session.name,
            interaction: &open.id,
            csrf: &visit.csrf(&open.id),
        })),
    }
}

/// Takes a form: `action` is `login`, `allow`, `deny` or `logout`.
pub(super) async fn act(
    app: &Arc<App>,
    visit: &Visit<'_>,
    form: &Params,
) -> Result<Response, Error> {
    let id = form.get("interaction").unwrap_or("");
    if form.repeated(&[]).is_some() || !is_own_page(app, visit.headers) {
        return Ok(forged(app));
    }
    let open = match open(app, visit, id).await? {
        Ok(open) => open,
        Err(response) => return Ok(response),
    };
    if form.get("csrf") != Some(&visit.csrf(id)) {
        return Ok(forged(app));
    }
    match (form.get("action"), &open.session) {
        (Some("login"), _) => login(app, visit, &open, form).await,
        (Some("logout"), _) => {
            if let Some(session) = &visit.session {
                app.store.end_session(&secret::hash(Kind::Session, session)).await?;
            }
            let mut response = again(app, id);
            Cookie::Session.clear(&app.issuer, response.headers_mut());
            Ok(response)
        }
        (Some("allow"), Some(session)) => {
            if !open.request.takes_login_of(session.auth_time) {
                return Ok(again(app, id));
            }
            if open.request.device.is_some() {
                return verification::allow(app, id, &open.request, session).await;
            }
            let remembered = app
                .store
                .consented(
                    &session.user_id,
                    &open.client.id,
                    &open.resource.uri,
                    &open.request.redirect_uri,
                )
                .await?
                .and_then(|scopes| ScopeSet::parse(&scopes).ok())
                .unwrap_or_default();
            let scopes = remembered.union(&open.request.scopes()).to_string();
            let Some(response) = approve(app, &open, session).await? else {
                return Ok(stale(app));
            };
            app.store
                .remember_consent(
                    &session.user_id,
                    &open.client.id,
                    &open.resource.uri,
                    &open.request.redirect_uri,
                    &scopes,
                )
                .await?;
            Ok(response)
        }
        (Some("deny"), _) => {
            if !app.end_interaction(id).await? {
                return Ok(stale(app));
            }
            if open.request.device.is_some() {
                return verification::deny(app, &open.request).await;
            }
            // The user decided, on our page: this redirect is no automatic one.
            let parameters =
                [("error", "access_denied"), ("error_description", "The user said no")];
            Ok(reply::see_other(&Back::of(&open.request).location(app, &parameters)))
        }
        _ => Ok(again(app, id)),
    }
}

async fn open(
    app: &Arc<App>,
    visit: &Visit<'_>,
    id: &str,
) -> Result<Result<Open, Response>, Error> {
    let Some(row) = app.interaction(id).await? else {
        return Ok(Err(stale(app)));
    };
    // Begun in another browser: whoever sends such a link wants this user to finish their login
    // (session fixation; issuer spec, attacks 12 and 45).
    let browser = visit.browser.as_deref().map(|value| secret::hash(Kind::Browser, value));
    if browser.as_ref() != Some(&row.browser_hash) {
        return Ok(Err(app.pages.message(
            StatusCode::FORBIDDEN,
            "This page belongs to another browser",
            "Start again from the application, in this browser, with cookies allowed.",
        )));
    }
    let Ok(request) = serde_json::from_str::<AuthorizationRequest>(&row.request) else {
        return Ok(Err(stale(app)));
    };
    let client = app.store.client(&request.client_id).await?;
    let client = client.filter(|row| !row.client.is_disabled);
    let resources = app.store.known_resources().await?;
    let resource = resources.iter().find(|resource| resource.uri == request.resource).cloned();
    let (Some(client), Some(resource)) = (client, resource) else {
        return Ok(Err(stale(app)));
    };
    // A scope that is gone by now is not granted.
    if check_scope(Some(&request.scope), &resource).is_err() {
        return Ok(Err(stale(app)));
    }
    let session = match &visit.session {
        Some(session) => app.store.session(&secret::hash(Kind::Session, session)).await?,
        None => None,
    };
    let id = id.to_owned();
    Ok(Ok(Open { id, request, client: client.client, resource, session }))
}

async fn login(
    app: &Arc<App>,
    visit: &Visit<'_>,
    open: &Open,
    form: &Params,
) -> Result<Response, Error> {
    let name = form.get("username").unwrap_or("").trim();
    let password = form.get("password").unwrap_or("");
    if let Err(seconds) = may_try(app, name, visit.visitor).await {
        let text = format!("Too many tries. Wait {seconds} seconds.");
        let status = StatusCode::TOO_MANY_REQUESTS;
        let failure = Failure { status, username: name, text: &text };
        let mut response = login_page(app, visit, open, Some(failure));
        reply::set(response.headers_mut(), header::RETRY_AFTER, &seconds.to_string());
        return Ok(response);
    }
    let credentials = app.store.credentials(name).await?;
    let stored = credentials.as_ref().map(|(_, hash)| hash.as_str());
    let too_long = password.len() > password::MAX_LENGTH;
    let fits = !too_long && password::verify(password, stored).await?;
    let session = match credentials {
        Some((user_id, hash)) if fits => new_session(app, (&user_id, &hash)).await?,
        _ => None,
    };
    let Some(session) = session else {
        tracing::info!(reason = "login_failed", "a login failed");
        let text = "The name or the password is wrong.";
        let failure = Failure { status: StatusCode::FORBIDDEN, username: name, text };
        return Ok(login_page(app, visit, open, Some(failure)));
    };
    app.throttle.succeeded(name, visit.visitor.nearest()).await;
    app.logins.give_back(visit.visitor.address, clock::milliseconds()).await;
    // A new session for each login: one that was planted before is worth nothing.
    if let Some(old) = &visit.session {
        app.store.end_session(&secret::hash(Kind::Session, old)).await?;
    }
    let mut response = again(app, &open.id);
    Cookie::Session.set(&app.issuer, response.headers_mut(), &session);
    Ok(response)
}

/// A login by this user's password; `None` when it was changed meanwhile.
async fn new_session(app: &App, by: (&str, &str)) -> Result<Option<String>, Error> {
    let session = secret::new(Kind::Session)?;
    let hash = secret::hash(Kind::Session, &session);
    let is_new = app.store.add_session(&hash, by, SESSION_LIFETIME).await?;
    Ok(is_new.then_some(session))
}

/// Counts a try, by the address alone and by account and address: neither many passwords for one account
/// nor one password for many.
///
/// # Errors
/// The seconds to wait before the next one.
async fn may_try(app: &App, name: &str, visitor: Visitor) -> Result<(), i64> {
    app.logins.take(visitor.address, clock::milliseconds()).await?;
    app.throttle.begin(name, visitor.nearest(), clock::now()).await
}

/// Grants what is asked for; `None` when that is over.
async fn approve(
    app: &Arc<App>,
    open: &Open,
    session: &SessionRow,
) -> Result<Option<Response>, Error> {
    // Once: a page that is sent twice grants once.
    match app.end_interaction(&open.id).await? {
        true => code(app, &open.request, &open.client, session).await,
        false => Ok(None),
    }
}

fn again(app: &App, id: &str) -> Response {
    reply::see_other(&format!("{}/authorize?interaction={id}", app.issuer))
}

fn login_page(app: &App, visit: &Visit<'_>, open: &Open, failure: Option<Failure<'_>>) -> Response {
    let (status, username, problem) = match failure {
        None => (StatusCode::OK, "", None),
        Some(Failure { status, username, text }) => (status, username, Some(text)),
    };
    let login = Login {
        client: &open.client.name,
        resource: &open.resource.name,
        interaction: &open.id,
        csrf: &visit.csrf(&open.id),
        username,
        problem,
    };
    app.pages.login(status, &login)
}

pub(super) fn stale(app: &App) -> Response {
    app.pages.message(
        StatusCode::BAD_REQUEST,
        "This page is no longer valid",
        "It was used already, or it waited for more than ten minutes. Start again from the \
         application.",
    )
}

pub(super) fn forged(app: &App) -> Response {
    tracing::warn!(reason = "csrf_refused", "a form was refused: not sent from our page");
    app.pages.message(
        StatusCode::FORBIDDEN,
        "This form was not sent from our page",
        "Go back to the application and start again.",
    )
}

/// `Origin` and `Sec-Fetch-Site`, where a browser sends them, must name this server.
pub(super) fn is_own_page(app: &App, headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).map(|value| value.as_bytes());
    let site = value("sec-fetch-site");
    let origin_fits = match value("origin") {
        None => true,
        // With `Referrer-Policy: no-referrer` browsers hide the origin of their own forms.
        Some(b"null") => site == Some(b"same-origin"),
        Some(origin) => origin == app.issuer.origin().as_bytes(),
    };
    origin_fits && site.is_none_or(|site| site == b"same-origin")
}
