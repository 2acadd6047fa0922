//! The two cookies: which browser this is, and who is logged in.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::issuer::Issuer;

/// A cookie of ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cookie {
    /// Binds interactions to a browser.
    Browser,
    /// Names the session.
    Session,
}

impl Cookie {
    /// `__Host-` keeps other hosts of the domain from setting it; browsers take it over https only.
    const fn name(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Browser, true) => "__Host-cs_browser",
            (Self::Browser, false) => "cs_browser",
            (Self::Session, true) => "__Host-cs_session",
            (Self::Session, false) => "cs_session",
        }
    }

    pub(super) fn read(self, issuer: &Issuer, headers: &HeaderMap) -> Option<String> {
        let name = self.name(issuer.is_https());
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, value)| *found == name && !value.is_empty())
            .map(|(_, value)| value.to_owned())
    }

    /// Sets the cookie for as long as the browser runs. The server limits its time.
    pub(super) fn set(self, issuer: &Issuer, headers: &mut HeaderMap, value: &str) {
        let name = self.name(issuer.is_https());
        let secure = if issuer.is_https() { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }

    pub(super) fn clear(self, issuer: &Issuer, headers: &mut HeaderMap) {
        let name = self.name(issuer.is_https());
        let secure = if issuer.is_https() { "; Secure" } else { "" };
        let cookie = format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}
