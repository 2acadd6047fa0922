//! JOSE as access tokens need it: base64url, strict JSON, keys, compact signatures.

pub mod alg;
pub mod base64url;
pub mod host_check;
pub mod json;
pub mod jwk;
pub mod jwks;
pub mod jws;
pub mod thumbprint;
pub mod unchecked_jwk;
