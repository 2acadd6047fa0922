//! JSON Web Tokens as access tokens (RFC 7519, RFC 9068).

pub mod access_token;
pub mod claims;
pub mod confirmation;
pub mod numeric_date;
pub mod preset;
