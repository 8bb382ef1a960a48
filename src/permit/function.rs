//! Which functions a caller may call: the adapter's are behind the shared secret, on every lane.

use crate::{
    adapter::{Arguments, Function, SecretCheck},
    classify::{Call, Listener},
    config::{self, OnPublic},
    error::Rejection,
    secret::Secret,
};

/// A call that may go upstream. Made by [`Permitted::decide`] alone.
#[derive(Debug)]
pub struct Permitted<'body> {
    call: Call<'body>,
    adapter: Option<AdapterCall<'body>>,
}

/// What is known of a permitted call of the adapter's module.
#[derive(Debug)]
pub struct AdapterCall<'body> {
    /// The arguments, read, and for which of the contract's functions.
    pub arguments: Arguments<'body>,
    /// That the caller may act with the secret.
    pub proof: SecretHeld,
}

/// Proof that somebody may act with the adapter's secret: a caller who showed it, a caller of the adapter listener, or the proxy
/// itself on behalf of a cookie.
#[derive(Debug, Clone, Copy)]
pub struct SecretHeld(());

/// Why a call may not go upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionRefusal {
    /// As the rejection says.
    Rejected(Rejection),
    /// A secret was shown and it is not the right one: the attempt counts against its address.
    WrongSecret,
}

impl SecretHeld {
    /// Decides by what a caller shows of the secret on that listener: the one place that does, for every route.
    ///
    /// # Errors
    ///
    /// - [`FunctionRefusal::WrongSecret`]: one was shown that is not the right one.
    /// - [`Rejection::AdapterForbidden`]: none was shown where it is demanded.
    pub(crate) fn show(
        arguments: &Arguments<'_>,
        listener: Listener,
        secret: &Secret,
    ) -> Result<Self, FunctionRefusal> {
        match (arguments.check_secret(secret), listener) {
            (SecretCheck::Right, _) | (SecretCheck::Absent, Listener::Adapter) => Ok(Self(())),
            (SecretCheck::Wrong, _) => Err(FunctionRefusal::WrongSecret),
            (SecretCheck::Absent, Listener::Public | Listener::Admin) => {
                Err(FunctionRefusal::Rejected(Rejection::AdapterForbidden))
            }
        }
    }

    /// The proxy's own right, for reads that it makes itself.
    pub(crate) fn by_the_proxy() -> Self {
        Self(())
    }
}

impl<'body> Permitted<'body> {
    /// Decides on one call. The module is compared by components, so no spelling of it escapes; every function in it is covered.
    ///
    /// # Errors
    ///
    /// - [`Rejection::AdapterForbidden`]: an adapter function on the public listener without a secret, or where `adapter.on_public` is
    ///   `deny`.
    /// - [`FunctionRefusal::WrongSecret`]: a secret that is not the right one, on either listener.
    /// - [`Rejection::AdapterArgumentInvalid`]: arguments of an adapter function that cannot be read.
    pub fn decide(call: Call<'body>, listener: Listener, policy: &config::Adapter) -> Result<Self, FunctionRefusal> {
        if !call.path.is_in(&policy.module) {
            return Ok(Self { call, adapter: None });
        }
        if listener == Listener::Public && policy.on_public == OnPublic::Deny {
            return Err(FunctionRefusal::Rejected(Rejection::AdapterForbidden));
        }
        let arguments = Arguments::read(Function::from_name(call.path.name()), call.args)
            .map_err(|problem| FunctionRefusal::Rejected(Rejection::AdapterArgumentInvalid(problem)));
        // Whoever has not shown the secret learns nothing about the arguments.
        let arguments = match (listener, arguments) {
            (_, Ok(arguments)) => arguments,
            (Listener::Adapter, Err(refusal)) => return Err(refusal),
            (Listener::Public | Listener::Admin, Err(_)) => {
                return Err(FunctionRefusal::Rejected(Rejection::AdapterForbidden));
            }
        };
        let proof = SecretHeld::show(&arguments, listener, &policy.secret)?;
        Ok(Self { adapter: Some(AdapterCall { arguments, proof }), call })
    }

    /// The call.
    pub fn call(&self) -> &Call<'body> {
        &self.call
    }

    /// Appends the arguments as they go upstream: an adapter's function gets the proxy's secret, every other what was sent.
    ///
    /// # Errors
    ///
    /// [`Rejection::AdapterArgumentInvalid`]; nothing is appended then.
    pub fn write_args(&self, policy: &config::Adapter, out: &mut Vec<u8>) -> Result<(), Rejection> {
        match &self.adapter {
            None => out.extend_from_slice(self.call.args.get().as_bytes()),
            Some(adapter) => adapter
                .arguments
                .encode(policy.nulls, &policy.secret, out)
                .map_err(Rejection::AdapterArgumentInvalid)?,
        }
        Ok(())
    }

    /// What is known of it when it is one of the adapter's.
    pub fn adapter(&self) -> Option<&AdapterCall<'body>> {
        self.adapter.as_ref()
    }
}

/// The module of a text such as `auth/adapter`, for tests.
#[cfg(test)]
pub(crate) fn module(text: &str) -> convex_sync_types::CanonicalizedModulePath {
    text.parse().expect("a module")
}

#[cfg(test)]
mod tests {
    use super::{FunctionRefusal, Permitted, Rejection, module};
    use crate::{
        classify::{Envelope, Lane, Listener},
        config::{Adapter, Nulls, OnPublic},
        secret::Secret,
    };

    fn policy(on_public: OnPublic) -> Adapter {
        Adapter {
            module: module("auth/adapter"),
            secret: Secret::new("right"),
            on_public,
            tokens: Vec::new(),
            nulls: Nulls::Drop,
        }
    }

    fn decide(listener: Listener, on_public: OnPublic, path: &str, args: &str) -> Result<bool, FunctionRefusal> {
        let body = format!(r#"{{"path":"{path}","args":{args}}}"#);
        let call = Envelope::read(Lane::Query, body.as_bytes()).expect("an envelope").into_calls().remove(0);
        Permitted::decide(call, listener, &policy(on_public)).map(|permitted| permitted.adapter().is_some())
    }

    #[test]
    fn l2_the_public_listener_demands_the_secret_for_every_function_of_the_module() {
        use Listener::Public;
        use OnPublic::RequireSecret;
        let forbidden = Err(FunctionRefusal::Rejected(Rejection::AdapterForbidden));
        for path in ["auth/adapter:getUser", "auth//adapter.js/.:getUser", "auth/adapter", "auth/adapter:mine"] {
            assert_eq!(decide(Public, RequireSecret, path, "{}"), forbidden, "{path}");
            assert_eq!(decide(Public, RequireSecret, path, "[]"), forbidden, "{path}");
            assert_eq!(decide(Public, RequireSecret, path, r#"{"secret":null}"#), forbidden, "{path}");
            for wrong in [
                r#"{"secret":"wrong"}"#,
                r#"{"secret":1}"#,
                r#"[{"secret":"right","secret":"wrong"}]"#,
                r#"{"secret":"wrong","\u0073ecret":"right"}"#,
            ] {
                assert_eq!(
                    decide(Public, RequireSecret, path, wrong),
                    Err(FunctionRefusal::WrongSecret),
                    "{path} {wrong}"
                );
            }
            assert_eq!(decide(Public, RequireSecret, path, r#"[{"secret":"right"}]"#), Ok(true), "{path}");
        }
        assert_eq!(decide(Public, RequireSecret, "auth:adapter", "{}"), Ok(false));
        assert_eq!(decide(Public, OnPublic::Deny, "auth/adapter:getUser", r#"{"secret":"right"}"#), forbidden);
    }

    #[test]
    fn the_adapter_listener_needs_no_secret_and_refuses_a_wrong_one() {
        use Listener::Adapter;
        assert_eq!(decide(Adapter, OnPublic::Deny, "auth/adapter:getUser", "{}"), Ok(true));
        let wrong = decide(Adapter, OnPublic::Deny, "auth/adapter:getUser", r#"{"secret":"wrong"}"#);
        assert_eq!(wrong, Err(FunctionRefusal::WrongSecret));
    }
}
