//! A browser with its cookies, and a person who logs in and consents.

use std::collections::BTreeMap;

use crate::{
    http::{self, Answer, FORM, encode},
    issuer::{ACCOUNT, Client, Issuer, PASSWORD},
};

/// How the browser says where a navigation came from.
pub(crate) const BY_ITSELF: (&str, &str) = ("sec-fetch-site", "none");
pub(crate) const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Opens a URL as if it had been typed.
    pub(crate) fn open(&mut self, url: &str) -> Answer {
        self.send("GET", url, &[BY_ITSELF], None)
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        headers.push(("cookie", &cookies));
        let answer = http::send(method, url, &headers, body);
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                let value = rest.split(';').next().unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Follows the issuer's own redirects to its page, or to the one that leads away.
    pub(crate) fn follow(&mut self, issuer: &Issuer, mut answer: Answer) -> Answer {
        for _ in 0..5 {
            let location = answer.header("location").to_owned();
            if answer.status != 303 || !location.starts_with(&format!("{}/", issuer.url)) {
                return answer;
            }
            answer = self.open(&location);
        }
        panic!("redirects without an end");
    }

    /// The page that an authorization URL leads to.
    pub(crate) fn visit(&mut self, issuer: &Issuer, url: &str) -> Answer {
        let answer = self.open(url);
        self.follow(issuer, answer)
    }

    /// Presses a button of a page, with more fields filled in.
    pub(crate) fn press(
        &mut self,
        issuer: &Issuer,
        page: &Answer,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
        let hidden = [("interaction", &*interaction), ("csrf", &*csrf), ("action", action)];
        let body = encode(&[&hidden[..], fields].concat());
        let origin = issuer.url.split('/').take(3).collect::<Vec<_>>().join("/");
        let headers = [FORM, ("origin", &*origin), ("sec-fetch-site", "same-origin")];
        let answer = self.send("POST", &issuer.at("/authorize"), &headers, Some(&body));
        self.follow(issuer, answer)
    }

    pub(crate) fn log_in(&mut self, issuer: &Issuer, page: &Answer) -> Answer {
        self.press(issuer, page, "login", &[("username", ACCOUNT), ("password", PASSWORD)])
    }

    /// Logs in where that is asked, allows, and returns the redirect to the client.
    pub(crate) fn authorize(&mut self, issuer: &Issuer, url: &str) -> Answer {
        let mut page = self.visit(issuer, url);
        if page.body.contains("type=\"password\"") {
            page = self.log_in(issuer, &page);
        }
        if page.status == 200 {
            page = self.press(issuer, &page, "allow", &[]);
        }
        page
    }
}

impl Issuer {
    /// A code that somebody granted this client, with the usual parameters.
    pub(crate) fn code(&self, client: &Client, changed: &[(&str, &str)]) -> String {
        let url = self.authorize_url(client, changed);
        Browser::new().authorize(self, &url).parameter("code")
    }

    /// Tokens that somebody granted this client.
    pub(crate) fn tokens(&self, client: &Client, changed: &[(&str, &str)]) -> serde_json::Value {
        let code = self.code(client, changed);
        let answer = self.redeem(client, &code, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// A text member of an answer.
pub(crate) fn text<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}
