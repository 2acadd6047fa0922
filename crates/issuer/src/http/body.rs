//! Bodies of requests: read whole, up to a size and within a time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::StatusCode,
};
use tokio::time::timeout;

use super::MAX_BODY;

/// Within this time the whole body must be there. Who sends a part of it and then nothing would hold a
/// connection for ever.
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than [`MAX_BODY`], or broke off.
    TooLarge,
    /// It did not come in time.
    TooSlow,
}

impl Unread {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "The body is too large",
            Self::TooSlow => "The body did not come in time",
        }
    }
}

pub(super) async fn read(body: Body) -> Result<Bytes, Unread> {
    read_within(ARRIVES_WITHIN, body).await
}

async fn read_within(time: Duration, body: Body) -> Result<Bytes, Unread> {
    let read = timeout(time, to_bytes(body, MAX_BODY)).await.map_err(|_| Unread::TooSlow)?;
    read.map_err(|_| Unread::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_comes_whole_and_in_time_or_not_at_all() {
        assert_eq!(read(Body::from("a=b")).await.unwrap(), "a=b");
        let long = "x".repeat(MAX_BODY + 1);
        assert_eq!(read(Body::from(long)).await, Err(Unread::TooLarge));
        let never = Body::new(Never);
        assert_eq!(read_within(Duration::from_millis(20), never).await, Err(Unread::TooSlow));
    }

    /// A body that is announced and does not come.
    struct Never;

    impl hyper::body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
