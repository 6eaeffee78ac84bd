//! The paths of the service, without stage and base path.

use std::fmt;

/// A path of the service.
#[derive(Clone, PartialEq, Eq)]
pub enum Route {
    /// `/accounts/create`
    Create,
    /// `/accounts/created`
    Created,
    /// `/accounts/confirm/{token}`
    Confirm { token: String },
    /// `/accounts/confirmed`
    Confirmed,
    /// `/accounts/email`
    Email,
    /// `/accounts/password`
    Password,
    /// `/accounts/password/{token}`
    NewPassword { token: String },
}

impl Route {
    /// Finds the route of `path`, which may or may not begin with the `stage` of a REST or HTTP API and the `base_path` of
    /// `BASE_URL`: which of them an event's path holds depends on the kind of API and on whether it has its own domain.
    pub fn find(path: &str, stage: Option<&str>, base_path: &str) -> Option<Self> {
        let staged = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        let inner = [Some(path), staged];
        let mut candidates = inner
            .into_iter()
            .flatten()
            .flat_map(|path| [Some(path), path.strip_prefix(base_path)]);
        candidates.find_map(|path| Self::parse(path?))
    }

    fn parse(path: &str) -> Option<Self> {
        let token = |prefix| {
            let token: &str = path.strip_prefix(prefix)?;
            let is_segment = !token.is_empty() && !token.contains('/');
            is_segment.then(|| token.to_owned())
        };
        match path {
            "/accounts/create" => Some(Self::Create),
            "/accounts/created" => Some(Self::Created),
            "/accounts/confirmed" => Some(Self::Confirmed),
            "/accounts/email" => Some(Self::Email),
            "/accounts/password" => Some(Self::Password),
            _ => token("/accounts/confirm/")
                .map(|token| Self::Confirm { token })
                .or_else(|| token("/accounts/password/").map(|token| Self::NewPassword { token })),
        }
    }

    /// The route's pattern, for logs: never the token.
    pub fn pattern(&self) -> &'static str {
        match self {
            Self::Create => "/accounts/create",
            Self::Created => "/accounts/created",
            Self::Confirm { .. } => "/accounts/confirm/{token}",
            Self::Confirmed => "/accounts/confirmed",
            Self::Email => "/accounts/email",
            Self::Password => "/accounts/password",
            Self::NewPassword { .. } => "/accounts/password/{token}",
        }
    }

    pub fn takes_post(&self) -> bool {
        !matches!(self, Self::Created | Self::Confirmed)
    }

    /// The value of `Allow`.
    pub fn allow(&self) -> &'static str {
        if self.takes_post() {
            "GET, HEAD, POST, OPTIONS"
        } else {
            "GET, HEAD, OPTIONS"
        }
    }
}

/// Shows no token.
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_remains_without_stage_and_base_path() {
        for (path, stage, base_path) in [
            ("/accounts/create", None, ""),
            ("/accounts/create", Some("prod"), "/prod"),
            ("/prod/accounts/create", Some("prod"), ""),
            ("/prod/accounts/create", Some("prod"), "/prod"),
            ("/v1/accounts/create", Some("$default"), "/v1"),
            ("/prod/v1/accounts/create", Some("prod"), "/v1"),
            ("/accounts/create", Some("accounts"), "/accounts"),
            ("/accounts/accounts/create", Some("accounts"), ""),
        ] {
            assert_eq!(
                Route::find(path, stage, base_path),
                Some(Route::Create),
                "{path} {stage:?} {base_path}"
            );
        }
    }

    #[test]
    fn a_token_is_one_segment() {
        let token = || "a.b.c".to_owned();

        assert_eq!(
            Route::find("/accounts/confirm/a.b.c", None, ""),
            Some(Route::Confirm { token: token() })
        );
        assert_eq!(
            Route::find("/accounts/password/a.b.c", None, ""),
            Some(Route::NewPassword { token: token() })
        );
    }

    #[test]
    fn other_paths_are_no_route() {
        for path in [
            "",
            "/",
            "accounts/create",
            "/accounts/create/",
            "/accounts/confirm/",
            "/accounts/confirm/a/b",
            "/accounts/password/",
            "/x/accounts/create",
            "/prodaccounts/create",
        ] {
            assert_eq!(Route::find(path, Some("prod"), "/v1"), None, "{path}");
        }
    }
}
