use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;
use url::Url;

use super::{bare, comparable, comparable_beginning, unescaped};

#[test]
fn what_servers_read_differently_never_compares() {
    for uri in [
        "file:///public/../secret",
        "file:///public/%2e%2E/secret",
        "file:///public/.%2e/secret",
        "file:///public/./x",
        // Without their parameters.
        "https://host/public/..;x/secret",
        "file:///public/%2e.%3Bx",
        "users/.;",
        "file:///public%2f..%2Fsecret",
        "file:///public%2Fsecret",
        "file:////secret",
        "file:///public%5C..%5csecret",
        "..",
        "file:///public\\..\\secret",
        "file:/public/../secret?x=://h/",
        "note:/public/../secret#://h",
        "file:///%%361",
        "file:///public/%2",
        "file:///public/%",
        "file:///public/%zz",
        // The root's `Server/a` to a WHATWG parser.
        "FILE:Server/a",
        "file:a/b",
        "file:",
        // A drive, or a host with a port.
        "file://C:/secret",
        "file://h:80/secret",
        "file://u@h/secret",
        // To what opens files, a question mark is a letter.
        "file:///public/x?/../../../secret",
        "file:///public/x?%2F..",
        "file:///public/x#/./secret",
        // Separated before the file is opened.
        "file:///secret?",
        "file:///secret?x",
        "file:///secret#",
        "note://x?y#",
        "users/a#b",
        // WHATWG URL: left out, and then dot segments.
        "file:///public/.\t./secret",
        "file:///public/.\n./secret",
        "file:///public/.\r./secret",
        " file:///secret",
        "file:///secret ",
        // The same once its parameters are cut off.
        "file:/secret ;q",
        "https://host/secret ;a;b",
        "note://host:0443;q",
        "note://host%3Bq/a",
        "https://host/secret ?a",
        "https://host/secret? a",
        "https://ho st/secret",
        "https:// host/secret",
        "https://host /secret",
        "https://host: 80/secret",
        "http s://host/secret",
        "note ://a/b",
        "note:a ?b",
        "note:// a/b",
        "note://a /b",
        "note://a: 80/b",
        "note://u @a/b",
        "note://[::1 ]/b",
        "file://a b/c",
        "my note:a",
        "\u{1}file:///secret",
        "fi\tle:///secret",
        "file:///secret?a b",
        "file:///secret#\u{7f}",
        "file:///a%09b",
        "file:///a%0Ab",
        "file:///a%00",
        "file:///a%7f",
        "file:///a\u{85}",
        "file:///a%C2%85",
        // No UTF-8; the first is an overlong slash.
        "file:///public%C0%AFsecret",
        "file:///%ff",
        "file:///%C3",
        // RFC 3986 §2 has no place for these.
        "note://x/\"",
        "note://x/<",
        "note://x/>",
        "note://x/^",
        "note://x/`",
        "note://x/{",
        "note://x/|",
        "note://x/}",
        "note://x\\y",
        "note://x?a=\\",
        "https://host\\secret/x",
        "https:\\\\host\\secret",
        "https:/host/secret/x",
        "https:host/secret/x",
        "https:///host/secret",
        "https:////host/secret",
        "https://",
        "https://u@host/secret/x",
        "https://u:p@host/secret/x",
        "https://@host/secret/x",
        "https://host:/secret",
        "https://host:x/secret",
        "https://host:99999/secret",
        "https://ho%73t/secret",
        "https://host%3A443/secret",
        "https://h\u{f6}st/secret",
        "https://\u{ff48}ost/secret",
        "https://host..example/secret",
        "https://.host/secret",
        "https://ho(st/secret",
        "https://127.1/secret",
        "https://0x7f.0.0.1/secret",
        "https://0x7f000001/secret",
        "https://2130706433/secret",
        "https://127.0.0.01/secret",
        "https://a.1/",
        "https://[::1/secret",
        "https://[::g]/secret",
        "wss:host/secret",
        "ftp:/host/secret",
        "blob:https://host/secret",
        "note://a%2Fb/c",
        "note://@a/",
        "note://:@a/",
        "note://u:@a/",
        "note://a:/",
        "note://a:080/",
        "note://[0::1]/",
        "note://[a/",
        "note://a/b%5Cc",
        // Decoded, it would be another URI.
        "%66ile:/secret",
        "file%3A/secret",
        "%20https:x",
        "1a:b",
    ] {
        assert_eq!(comparable(uri), None, "{uri:?}");
    }
}

#[test]
fn spellings_of_one_uri_compare_equal() {
    for (form, spellings) in [
        ("file:///Public/abc", &["FILE:///Public/a%62c", "file:/Public/abc"][..]),
        ("file:///a", &["file:/a", "FILE:///a", "file://LOCALHOST/a", "file://localhost/%61"]),
        ("file://server/a", &["file://SERVER/a", "file://server./a"]),
        ("file:///", &["file:/", "file://", "file://localhost"]),
        ("file:///caf%C3%A9", &["file:///caf\u{e9}", "file:///caf%c3%a9", "file:///c%61f%C3%a9"]),
        ("file:///my%20docs", &["file:///my docs", "file:/m%79 docs"]),
        ("weather://san%20francisco/cur%20rent", &["weather://San Francisco/cur rent"]),
        ("https://host/a%20/b?c%20d", &["https://host/a /b?c d"]),
        ("my%20users/a%20b", &["my users/a b"]),
        ("file:///private(1)", &["file:///private%281%29", "file:///private(1%29"]),
        ("file:///a%3Fb%23c%25d%7B", &["file:///a%3fb%23c%25d%7b"]),
        ("file:///a..b/...", &["file:///a..b/..."]),
        ("note:///a", &["note:/a", "NOTE:///%61"]),
        ("note://?a", &["note:?a"]),
        ("urn:x:Y", &["URN:x:Y", "urn:%78%3AY"]),
        ("note://x?y=../z", &["note://x?y=../z", "NOTE://X?y=%2E./z"]),
        ("note://x?y=/z=%23?", &["note://x?y=%2Fz%3D%23%3f"]),
        ("note://u@ab:443/", &["note://u@AB:443/"]),
        ("note://u:p@[::1]:0/a:b@c", &["NOTE://U:P@[::1]:0/a%3Ab%40c"]),
        ("note://10.1.2025-x:y/", &[]),
        ("mcp://files", &["MCP://Files"]),
        ("https://host/secret/x", &["HTTPS://HOST:443/secret/x", "https://host.:0443/secret/%78"]),
        ("https://host/", &["https://host", "https://host:443"]),
        ("https://host/?a", &["https://host?a"]),
        ("https://host:8443/", &["https://host:08443"]),
        ("http://host:443/", &["http://host:443"]),
        ("ws://host/", &["WS://host:80"]),
        ("https://127.0.0.1/", &["https://127.0.0.1.", "https://127.0.0.1:443"]),
        ("https://[::1]/", &["https://[0:0::1]", "https://[0000:0::0001]:443/"]),
        ("https://host/?q=a/../b&u=/..", &["https://host/?q=a/../b%26u=%2f.."]),
        ("users/a?b", &["users/%61?%62"]),
    ] {
        for spelling in spellings.iter().chain([&form]) {
            assert_eq!(comparable(spelling).as_deref(), Some(form), "{spelling}");
        }
    }
}

#[test]
fn beginnings() {
    for (beginning, form) in [
        ("", ""),
        ("htt", "htt"),
        ("FILE:", "file:"),
        ("file://", "file://"),
        ("file://Ser", "file://ser"),
        ("file:///a/", "file:///a/"),
        ("file://localhost/", "file:///"),
        ("HTTPS:", "https:"),
        ("https:/", "https:/"),
        ("https://", "https://"),
        ("https://Ho", "https://ho"),
        ("https://10.0", "https://10.0"),
        ("https://host:443/", "https://host/"),
        ("https://host?", "https://host/?"),
        ("note://Al%C3%A9", "note://al%C3%A9"),
        ("note:", "note:"),
        ("note:/a/", "note:///a/"),
        ("users/", "users/"),
        ("file:///my do", "file:///my%20do"),
        ("weather://San F", "weather://san%20f"),
    ] {
        assert_eq!(comparable_beginning(beginning).as_deref(), Some(form), "{beginning}");
    }
    for beginning in [
        // A scheme, or a name that begins so.
        "HTT",
        "file:a",
        // A file of this host or the beginning of another.
        "file:/",
        "note:/",
        // What is left out of the form, or may be.
        "file://l",
        "file://LOCALHOST",
        "https://host.",
        "https://host:",
        "https://host:443",
        "https://u@",
        "https://[::1",
        "https://[::1]",
        "https:a",
        "file:///a%",
        "file:///a%2",
        "file:///a%C3",
        "file:///a/.",
        "file:///a?",
        "note://a#",
        "file:///my ",
        "weather://San ",
    ] {
        assert_eq!(comparable_beginning(beginning), None, "{beginning}");
    }
}

/// Pieces of URIs: those of one row are spellings of the same, or nearly.
const SCHEMES: &[&[&str]] = &[
    &["https:", "HTTPS:", "https: ", "ht\ttps:"],
    &["http:", "Http:", "http:", " http:"],
    &["file:", "FILE:", "file:", "file:\n"],
    &["ws:", "wss:", "ftp:", "note:"],
];
const SLASHES: &[&[&str]] =
    &[&["//", "//", "//", "//"], &["//", "/", "\\\\", "///"], &["/", "", "//", "\t//"]];
const HOSTS: &[&[&str]] = &[
    &["host", "HOST", "ho%73t", "host"],
    &["host", "host:443", "host:80", "host:0443"],
    &["host", "u@host", "host.", ":@host"],
    &["h t", "h%20t", "H t", "h t "],
    &["127.0.0.1", "127.1", "0x7f.0.0.1", "2130706433"],
    &["[::1]", "[0::1]", "[::1]:443", "[::0:1]"],
    &["", "localhost", "LOCALHOST", "local%68ost"],
    &["", "C:", "c|", "."],
];
const SEGMENTS: &[&[&str]] = &[
    &["/secret", "/%73ecret", "\\secret", "/./secret"],
    &["/x", "/y/../x", "/y/.%2e/x", "/y/.\t./x"],
    &["/caf\u{e9}", "/caf%C3%A9", "/caf%c3%a9", "/caf%c3\u{a9}"],
    &["/a(1)", "/a%281%29", "/a(1%29", "/a%281)"],
    &["/a%20b", "/a b", "/a%20b/", "/%61%20b"],
    &["/..", "/%2E%2E", "/.%2e", "/.."],
    &["/a%2Fb", "/a%2fb", "/a/b", "/a%5Cb"],
    &["", "/", "/.", "//"],
    &["/a%3Fb", "/a?b", "/a%3fb", "/a%253Fb"],
    &["/a b", "/a%20b", "/a  b", "/a /b"],
    &["/a;b", "/a%3Bb", "/a%3bb", "/A;b"],
];
const TAILS: &[&[&str]] = &[
    &["", "", " ", "\n"],
    &["?q=a", "?q=%61", "?q=\ta", "?q=a#"],
    &["?q=%41/../b", "?q=A/../b", "?q=A%2F../b", "#q=A"],
    &["", "?", "#", "?q#"],
    &["?a b", "?a%20b", " ?a b", "? a b"],
    &["", "?q", "#q", ";q"],
    &[";q", ";", "%3Bq", ";q?q;q"],
];

/// Two URIs of pieces from the same rows.
fn spellings() -> impl Strategy<Value = [String; 2]> {
    let pick = |rows: &'static [&'static [&'static str]]| {
        (prop::sample::select(rows), 0..4_usize, 0..4_usize)
            .prop_map(|(row, a, b)| [row[a], row[b]])
    };
    let path = prop::collection::vec(pick(SEGMENTS), 0..4);
    (pick(SCHEMES), pick(SLASHES), pick(HOSTS), path, pick(TAILS)).prop_map(
        |(scheme, slashes, host, path, tail)| {
            [0, 1].map(|at| {
                let path: Vec<&str> = path.iter().map(|pair| pair[at]).collect();
                format!("{}{}{}{}{}", scheme[at], slashes[at], host[at], path.concat(), tail[at])
            })
        },
    )
}

/// What a server finds that parses by the WHATWG standard and then decodes the parts.
fn resolved(uri: &str) -> Option<(String, [Option<Vec<u8>>; 3])> {
    let url = Url::parse(uri).ok()?;
    let decoded = |text: &str| {
        unescaped(text).map(|byte| byte.map(|(byte, _)| byte)).collect::<Option<Vec<u8>>>()
    };
    let host = String::from_utf8(decoded(url.host_str().unwrap_or_default())?).ok()?;
    // A name in the DNS may end in a dot; what it means elsewhere nobody knows.
    let is_name = url.scheme() != "note";
    let host = host.strip_suffix('.').filter(|_| is_name).unwrap_or(&host).to_ascii_lowercase();
    let parts = [Some(url.path()), url.query(), url.fragment()];
    let user = [url.username(), url.password().unwrap_or_default()].map(&decoded);
    let origin = format!("{}://{user:?}@{host}:{:?}", url.scheme(), url.port());
    Some((origin, parts.map(|part| decoded(part?))))
}

/// As Python's `urlparse` has the path.
fn without_parameters(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let last = path.rfind('/').unwrap_or(0);
    path[last..].find(';').map_or(path, |at| &path[..last + at])
}

#[test]
fn what_servers_that_look_at_the_path_see() {
    for (form, expected) in [
        ("https://host/a", &[][..]),
        ("https://host/a?", &["https://host/a"]),
        ("https://host/a;b/c?d;e", &["https://host/a;b/c"]),
        ("https://host/a;b;c?d", &["https://host/a;b;c", "https://host/a"]),
        ("https://host/a;", &["https://host/a"]),
        ("a;b?c", &["a;b", "a"]),
    ] {
        assert_eq!(bare(form).collect::<Vec<_>>(), expected, "{form}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever `new URL` and decoding make the same is the same to the rules, or refused: no spelling of a
    /// protected URI falls through to a rule for all others.
    #[test]
    fn no_spelling_falls_through([a, b] in spellings()) {
        let (Some(first), Some(second)) = (comparable(&a), comparable(&b)) else { return Ok(()) };
        if resolved(&a).is_some() && resolved(&a) == resolved(&b) {
            prop_assert_eq!(first, second, "{:?} {:?}", a, b);
        }
    }

    /// Whatever the path alone makes the same is the same where servers look at no more.
    #[test]
    fn no_query_falls_through([a, b] in spellings()) {
        let (Some(first), Some(second)) = (comparable(&a), comparable(&b)) else { return Ok(()) };
        let of_path: fn(&str) -> _ =
            |uri| resolved(uri).map(|(origin, [path, ..])| (origin, path));
        let barest = |form: &str| bare(form).last().map_or_else(|| form.into(), String::from);
        let plain = |uri: &str| of_path(without_parameters(uri));
        let [with, without] = [[of_path(&a), of_path(&b)], [plain(&a), plain(&b)]];
        if [with, without].iter().any(|[a, b]| a.is_some() && a == b) {
            prop_assert_eq!(barest(&first), barest(&second), "{:?} {:?}", a, b);
        }
    }

    /// The form means what the URI means, and is its own form.
    #[test]
    fn the_form_means_the_same([uri, _] in spellings()) {
        let Some(form) = comparable(&uri) else { return Ok(()) };
        prop_assert_eq!(comparable(&form), Some(form.clone()), "{}", uri);
        prop_assert_eq!(resolved(&form), resolved(&uri.replace(' ', "%20")), "{} {}", form, uri);
    }

    /// A beginning that compares is the beginning of every URI that begins with it.
    #[test]
    fn beginnings_begin_the_forms([uri, _] in spellings(), at in 0..40_usize) {
        let (Some(form), Some(beginning)) = (comparable(&uri), uri.get(..at)) else { return Ok(()) };
        if let Some(beginning) = comparable_beginning(beginning) {
            prop_assert!(form.starts_with(&beginning), "{} {}", form, beginning);
        }
    }

    #[test]
    fn any_text(text in "\\PC{0,20}") {
        if let Some(form) = comparable(&text) {
            prop_assert_eq!(comparable(&form), Some(form));
        }
    }
}
