//! That `clippy.toml` bites: each call below is expected to be refused, and clippy tells if one is not
//! (`unfulfilled_lint_expectations`). Only clippy reads them; nothing of the SDK runs natively.
#![allow(missing_docs)]

#[cfg(clippy)]
mod calls {
    use proxy_wasm::{
        hostcalls,
        traits::{Context, HttpContext},
        types::MapType,
    };

    struct Request;

    impl Context for Request {}

    impl HttpContext for Request {}

    #[allow(clippy::let_unit_value, reason = "all calls look alike")]
    #[test]
    fn all_of_them() {
        let request = Request;
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = hostcalls::get_grpc_status();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = hostcalls::get_map(MapType::HttpRequestHeaders);
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = hostcalls::get_map_value(MapType::HttpRequestHeaders, "a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_grpc_status();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_grpc_stream_initial_metadata();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_grpc_stream_trailing_metadata();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_call_response_header("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_call_response_headers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_call_response_trailer("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_call_response_trailers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_request_header("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_request_headers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_request_trailer("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_request_trailers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_response_header("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_response_headers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_response_trailer("a");
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.get_http_response_trailers();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.resume_http_request();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.resume_http_response();
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.send_http_response(200, vec![], None);
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.set_http_request_header("a", None);
        #[expect(clippy::disallowed_methods, reason = "it must be refused")]
        let _ = request.set_http_response_header("a", None);
    }
}

/// What is banned is called above.
#[test]
fn none_is_left_out() {
    let here = include_str!("banned.rs");
    let banned: Vec<&str> = include_str!("../clippy.toml")
        .lines()
        .filter_map(|line| line.split("path = \"").nth(1)?.split('"').next()?.rsplit(':').next())
        .collect();
    assert!(banned.len() >= 20, "{banned:?}");
    let called = |name: &str| {
        ["request.", "hostcalls::"].iter().any(|who| here.contains(&format!("{who}{name}(")))
    };
    let left_out: Vec<_> = banned.iter().filter(|name| !called(name)).collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}
