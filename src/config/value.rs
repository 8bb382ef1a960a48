//! Values other than addresses: durations, names, tokens, filters. Pure functions from a text without control
//! characters.

use std::time::Duration;

use convex_sync_types::CanonicalizedModulePath;
use tracing_subscriber::EnvFilter;

use super::reason::Reason;
use crate::secret::Secret;

/// No duration of the configuration is longer. Our choice: beyond a day it is a slip of the unit.
pub(super) const DURATION_MAX: Duration = Duration::from_hours(24);

/// A text with something in it.
pub(super) fn filled(text: &str) -> Result<String, Reason> {
    if text.trim().is_empty() { Err(Reason::Empty) } else { Ok(text.to_owned()) }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&str) -> Result<T, Reason> {
    move |text| choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or(Reason::NoneOfThese)
}

/// A duration between two bounds, both included. The unit is obligatory, for zero as well.
pub(super) fn duration(least: Duration, most: Duration) -> impl Fn(&str) -> Result<Duration, Reason> {
    move |text| {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: Option<u64> = text.parse().ok();
            let fits = seconds.is_some_and(|seconds| (least..=most).contains(&Duration::from_secs(seconds)));
            return Err(Reason::NoUnit { seconds: fits.then(|| format!("{text}s")) });
        }
        match humantime::parse_duration(text).map_err(|_| Reason::NotADuration)? {
            duration if duration < least => Err(Reason::TooShort),
            duration if duration > most => Err(Reason::TooLong),
            duration => Ok(duration),
        }
    }
}

/// A duration above zero, at most a day.
pub(super) fn timeout(text: &str) -> Result<Duration, Reason> {
    duration(Duration::from_nanos(1), DURATION_MAX)(text)
}

/// How long a token lives: whole seconds, as `exp` counts them, from 10 s (our choice: less does not survive a slow
/// network and two clocks that differ) to 24 h.
pub(super) fn lifetime(text: &str) -> Result<Duration, Reason> {
    let lifetime = duration(Duration::from_secs(10), DURATION_MAX)(text)?;
    if lifetime.subsec_nanos() == 0 { Ok(lifetime) } else { Err(Reason::NotWholeSeconds) }
}

/// The path of a module as Convex reads it, and written without detours, so that there is one spelling of it.
pub(super) fn module(text: &str) -> Result<CanonicalizedModulePath, Reason> {
    let is_direct = !text.contains(':') && text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if !is_direct {
        return Err(Reason::NotAModule);
    }
    // The parser panics on a long name that is not ASCII.
    if !text.is_ascii() {
        return Err(Reason::NotAModule);
    }
    let module: CanonicalizedModulePath = text.parse().map_err(|_| Reason::NotAModule)?;
    // `_` passes as `_.js`, but has no components once the ending is off.
    let has_components = module.clone().strip().components().all(|component| component.is_ok());
    if has_components { Ok(module) } else { Err(Reason::NotAModule) }
}

/// The secret shared with the deployment.
pub(super) fn adapter_secret(secret: &Secret) -> Result<(), Reason> {
    match secret.expose() {
        "" => Err(Reason::Empty),
        text if text.chars().any(char::is_control) => Err(Reason::ControlCharacter),
        _ => Ok(()),
    }
}

/// A token of a caller of the adapter listener, as an `Authorization` header can carry it.
pub(super) fn caller_token(text: &str) -> Result<Secret, Reason> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reason::TokenCharacter);
    }
    if text.len() < 16 { Err(Reason::TokenShort) } else { Ok(Secret::new(text)) }
}

/// The name of a cookie: a token of RFC 9110 section 5.6.2, as RFC 6265 section 4.1.1 has it.
pub(super) fn cookie_name(text: &str) -> Result<String, Reason> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.bytes().all(is_name) { Ok(text.to_owned()) } else { Err(Reason::NotACookie) }
}

/// A level or a filter in tracing's syntax. A word alone must be a level: tracing takes any other for the name of a
/// module whose every line is wanted, so that a slip (`inof`) would silence the log.
pub(super) fn log_filter(text: &str) -> Result<String, Reason> {
    if text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    for directive in text.split(',') {
        if directive.trim().is_empty() {
            return Err(Reason::EmptyItem);
        }
        if !directive.contains(['=', '[']) && !is_level(directive) {
            return Err(Reason::NotALevel);
        }
    }
    EnvFilter::builder().parse(text).map_err(|_| Reason::NotAFilter)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        let read = duration(Duration::ZERO, DURATION_MAX);
        assert_eq!(read("500ms").expect("a duration"), Duration::from_millis(500));
        assert_eq!(read("1h 30m").expect("a duration"), Duration::from_secs(5_400));
        assert_eq!(read("0s").expect("a duration"), Duration::ZERO);
        assert!(matches!(read("0"), Err(Reason::NoUnit { seconds: Some(written) }) if written == "0s"));
        assert!(matches!(read("10"), Err(Reason::NoUnit { seconds: Some(written) }) if written == "10s"));
        assert!(matches!(read("100000"), Err(Reason::NoUnit { seconds: None })));
        assert!(matches!(read("99999999999999999999999"), Err(Reason::NoUnit { seconds: None })));
        for written in ["", "s", "ten s", "-1s", "1 parsec", "1s,2s"] {
            assert!(matches!(read(written), Err(Reason::NotADuration)), "{written}");
        }
        assert!(matches!(read("25h"), Err(Reason::TooLong)));
        assert!(matches!(timeout("0s"), Err(Reason::TooShort)));
    }

    #[test]
    fn a_lifetime_is_whole_seconds_from_ten_to_a_day() {
        assert_eq!(lifetime("10s").expect("a lifetime"), Duration::from_secs(10));
        assert_eq!(lifetime("24h").expect("a lifetime"), Duration::from_secs(86_400));
        assert!(matches!(lifetime("9s"), Err(Reason::TooShort)));
        assert!(matches!(lifetime("86401s"), Err(Reason::TooLong)));
        assert!(matches!(lifetime("10s 1ms"), Err(Reason::NotWholeSeconds)));
    }

    #[test]
    fn a_module_has_one_spelling() {
        assert_eq!(module("auth/adapter").expect("a module").as_str(), "auth/adapter.js");
        assert_eq!(module("authAdapter.js").expect("a module").as_str(), "authAdapter.js");
        for written in
            ["", "/auth", "auth/", "auth//adapter", "./auth", "auth/../x", "auth:adapter", "auth.ts", "a b", "_"]
        {
            assert!(matches!(module(written), Err(Reason::NotAModule)), "{written}");
        }
    }

    #[test]
    fn a_caller_token_is_long_and_fits_a_header() {
        assert!(caller_token("0123456789abcdef").is_ok());
        assert!(matches!(caller_token("0123456789abcde"), Err(Reason::TokenShort)));
        assert!(matches!(caller_token("0123456789 abcdef"), Err(Reason::TokenCharacter)));
        assert!(matches!(caller_token("0123456789abcdéf"), Err(Reason::TokenCharacter)));
    }

    #[test]
    fn a_cookie_name_is_a_token() {
        assert!(cookie_name("__Host-authjs.session-token").is_ok());
        for written in ["a b", "a=b", "a;b", "a\"b", "ä"] {
            assert!(matches!(cookie_name(written), Err(Reason::NotACookie)), "{written}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_does_not_silence_the_log() {
        for written in ["info", "WARN", "info,hyper=warn", "off", "info,convex_auth_proxy[request]=trace"] {
            assert!(log_filter(written).is_ok(), "{written}");
        }
        assert!(matches!(log_filter("inof"), Err(Reason::NotALevel)));
        assert!(matches!(log_filter("info,"), Err(Reason::EmptyItem)));
        assert!(matches!(log_filter("hyper=loud"), Err(Reason::NotAFilter)));
        assert!(matches!(log_filter(" "), Err(Reason::Empty)));
    }
}
