//! One HTTP exchange: nothing is followed, nothing is remembered.

use std::{sync::LazyLock, time::Duration};

use serde_json::Value;
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
});

pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A response that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = match body {
        Some(body) => AGENT.run(request.body(body.to_owned()).unwrap()),
        None => AGENT.run(request.body(()).unwrap()),
    };
    let mut response = response.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.body_mut().read_to_string().unwrap(),
    }
}

pub(crate) fn get(url: &str) -> Answer {
    send("GET", url, &[], None)
}

pub(crate) fn encode(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.status, self.body))
    }

    /// Where it redirects to, and the parameters there. Only 303 will do (OAuth 2.1 §7.5.2).
    pub(crate) fn redirect(&self) -> (String, Vec<(String, String)>) {
        assert_eq!(self.status, 303, "{}", self.body);
        let location = self.header("location");
        let (target, query) = location.split_once('?').unwrap_or((location, ""));
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        (target.to_owned(), parameters)
    }

    /// A parameter of the redirect, which must be there once.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let (_, parameters) = self.redirect();
        let mut values = parameters.iter().filter(|(found, _)| found == name);
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {parameters:?}"));
        assert!(values.next().is_none(), "{name} twice");
        value.1.clone()
    }

    /// The OAuth error of a JSON body, with this status (RFC 6749 §5.2).
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(error)), "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(self.json()["error_description"].is_string());
    }

    /// A page for people, with the headers that every page must have, and no redirect.
    #[track_caller]
    pub(crate) fn assert_page(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("location"), "");
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(self.header("x-frame-options"), "DENY");
        assert_eq!(self.header("referrer-policy"), "no-referrer");
        assert_eq!(self.header("cache-control"), "no-store");
        let policy = self.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("form-action"), "{policy}");
    }

    /// The value of a hidden field of its form.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("{self:?}"));
        rest.split('"').next().unwrap().to_owned()
    }
}
