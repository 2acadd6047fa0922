//! All checks, by role: their names, where each is written, and what to do about it.

pub(super) mod authorization_server;
pub(super) mod resource_server;
pub(super) mod token;

/// Declares the checks of a role, and `ALL` of them in their order.
macro_rules! checks {
    ($role:ident: $($name:ident = $id:literal, $level:ident, $clause:literal,
        $title:literal, $why:literal, $remedy:literal;)*) => {
        use crate::audit::check::{Check, Level, Role};

        $(pub(in crate::audit) static $name: Check = Check {
            id: $id,
            role: Role::$role,
            level: Level::$level,
            clause: $clause,
            title: $title,
            why: $why,
            remedy: $remedy,
        };)*

        pub(in crate::audit) const ALL: &[&Check] = &[$(&$name),*];
    };
}
use checks;
