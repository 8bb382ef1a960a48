//! The envelope of a call: body, function path, format, timestamp and client version, read as the backend reads them.
//!
//! Bodies are parsed by serde's derived readers on purpose: like the backend's, they take a JSON array for an object, refuse
//! a known field twice and pass over unknown ones. Invariant: whatever is refused here ran nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use convex_sync_types::{CanonicalizedUdfPath, Timestamp, UdfPath};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use super::value::OutputFormat;

/// The body of `/api/query`, `/api/mutation`, `/api/action` and of one member of a batch. No `Debug`: arguments hold
/// secrets.
#[derive(Deserialize)]
#[expect(missing_debug_implementations, reason = "arguments hold secrets")]
pub struct CallBody {
    /// The function, as the caller spells it.
    pub path: String,
    /// The arguments, unread.
    pub args: Box<RawValue>,
    /// How the result is to be written.
    pub format: Option<String>,
}

/// The body of `/api/query_at_ts`.
#[derive(Deserialize)]
#[expect(missing_debug_implementations, reason = "arguments hold secrets")]
pub struct TimedCallBody {
    /// The function, as the caller spells it.
    pub path: String,
    /// The arguments, unread.
    pub args: Box<RawValue>,
    /// The moment, as `/api/query_ts` gave it.
    pub ts: String,
    /// How the result is to be written.
    pub format: Option<String>,
}

/// The body of `/api/query_batch`.
#[derive(Deserialize)]
#[expect(missing_debug_implementations, reason = "arguments hold secrets")]
pub struct BatchBody {
    /// The calls, answered in this order.
    pub queries: Vec<CallBody>,
}

/// Reads a JSON body.
///
/// # Errors
///
/// - [`Refusal::Syntax`]: no JSON, no UTF-8, or something after it
/// - [`Refusal::Shape`]: a field is absent, of another type, or there twice
pub fn parse_body<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::Shape(error),
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            Refusal::Syntax(error)
        }
    })
}

/// Whether the content type is `application/json` or `application/*+json`; parameters do not count.
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.strip_prefix("application/").is_some_and(|subtype| {
        let token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(token)
    })
}

/// The function that a path names, by the backend's own parser.
///
/// # Errors
///
/// - [`Refusal::FunctionPath`]: no path of a function
pub fn parse_path(path: &str) -> Result<CanonicalizedUdfPath, Refusal> {
    // The parser panics on a long name that is not ASCII.
    if !path.is_ascii() {
        let complaint = "Path components can only contain ASCII characters.".to_owned();
        return Err(Refusal::FunctionPath { path: path.to_owned(), complaint });
    }
    path.parse::<UdfPath>()
        .map(UdfPath::canonicalize)
        .map_err(|complaint| Refusal::FunctionPath { path: path.to_owned(), complaint: complaint.to_string() })
}

/// The format of the answer: the one asked for, else the client's default.
///
/// # Errors
///
/// - [`Refusal::Format`]: an unknown name
pub fn parse_format(format: Option<&str>, client: &Client) -> Result<OutputFormat, Refusal> {
    match format {
        None => Ok(client.default_format()),
        Some("convex_encoded_json" | "convex_json") => Ok(OutputFormat::Encoded),
        Some("json" | "convex_clean_json") => Ok(OutputFormat::Clean),
        Some("export_json") => Ok(OutputFormat::Export),
        Some(unknown) => Err(Refusal::Format(unknown.to_owned())),
    }
}

/// Reads a moment: base64 of 8 bytes, the lowest first, of nanoseconds since 1970.
///
/// # Errors
///
/// - [`Refusal::Timestamp`]: another spelling, or a time after `newest`
pub fn parse_timestamp(text: &str, newest: Timestamp) -> Result<Timestamp, Refusal> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let timestamp = bytes.and_then(|bytes| Timestamp::try_from(u64::from_le_bytes(bytes)).ok());
    timestamp.filter(|timestamp| *timestamp <= newest).ok_or(Refusal::Timestamp)
}

/// Writes a moment as [`parse_timestamp`] reads it.
pub fn print_timestamp(timestamp: Timestamp) -> String {
    STANDARD.encode(u64::from(timestamp).to_le_bytes())
}

/// The calling library, from `Convex-Client`.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    name: String,
    /// Nothing for a version that is not `major.minor.patch`.
    version: Option<[u64; 3]>,
}

impl Client {
    /// Reads the header; without one the client is unknown.
    ///
    /// # Errors
    ///
    /// - [`Refusal::ClientVersion`]: no `-` in it
    /// - [`Refusal::ClientTooOld`]: npm up to 0.19.1, python up to 0.0.2, rust up to 0.0.1
    pub fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(text) = headers.get("convex-client").and_then(|value| value.to_str().ok()) else {
            return Ok(Self { name: "unknown".to_owned(), version: None });
        };
        // The longest version that can be read from the right counts: `my-client-1.2.3-alpha.1`.
        let splits = text.match_indices('-').map(|(position, _)| text.split_at(position));
        let mut splits = splits.map(|(name, rest)| (name, rest.trim_start_matches('-')));
        let first = splits.clone().next().ok_or_else(|| Refusal::ClientVersion(text.to_owned()))?;
        let (name, version) = splits.find(|(_, rest)| numbers(rest).is_some()).unwrap_or(first);
        Self { name: name.to_ascii_lowercase(), version: numbers(version) }.served(version)
    }

    /// Reads the header, or without one the version in the path of a sync socket: only browsers' clients put it there.
    ///
    /// # Errors
    ///
    /// - [`Refusal::ClientVersion`], [`Refusal::ClientTooOld`]: as [`Client::read`]
    /// - [`Refusal::PathVersion`]: no `major.minor.patch` in the path
    pub fn read_with_path(headers: &HeaderMap, version: &str) -> Result<Self, Refusal> {
        if headers.contains_key("convex-client") {
            return Self::read(headers);
        }
        let numbers = numbers(version).ok_or_else(|| Refusal::PathVersion(version.to_owned()))?;
        Self { name: "npm".to_owned(), version: Some(numbers) }.served(version)
    }

    /// Whether the client understands a Transition in pieces.
    pub fn takes_chunks(&self) -> bool {
        self.name == "npm" && self.version.is_some_and(|version| version >= [1, 28, 0])
    }

    fn served(self, version: &str) -> Result<Self, Refusal> {
        if self.is_at_most(self.last_unserved()) {
            return Err(Refusal::ClientTooOld { name: self.name, version: version.to_owned() });
        }
        Ok(self)
    }

    /// Clients from before the `format` member expect the encoded spelling.
    fn default_format(&self) -> OutputFormat {
        let last_encoded = match self.name.as_str() {
            "npm" | "npm-cli" | "actions" => Some([1, 4, 0]),
            "python-convex" => Some([0, 4, u64::MAX]),
            _ => None,
        };
        if self.is_at_most(last_encoded) { OutputFormat::Encoded } else { OutputFormat::Clean }
    }

    fn last_unserved(&self) -> Option<[u64; 3]> {
        match self.name.as_str() {
            "npm" | "npm-cli" | "actions" => Some([0, 19, 1]),
            "python-convex" => Some([0, 0, 2]),
            "rust" => Some([0, 0, 1]),
            _ => None,
        }
    }

    fn is_at_most(&self, limit: Option<[u64; 3]>) -> bool {
        matches!((self.version, limit), (Some(version), Some(limit)) if version <= limit)
    }
}

/// The numbers of `major.minor.patch`, with anything after a `-` or `+`.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    // A sign is no part of a version, though it is of a number.
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?;
    let parts: Vec<u64> = core.split('.').map(number).collect::<Option<_>>()?;
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(text: &'static str) -> Result<Client, Refusal> {
        Client::read(&HeaderMap::from_iter([("convex-client".parse().unwrap(), HeaderValue::from_static(text))]))
    }

    #[test]
    fn bodies_may_be_objects_or_lists_of_their_fields() {
        for body in [
            r#"{"path":"a:b","args":{"x":1},"format":null,"more":1}"#,
            r#"{"args":{"x":1},"path":"a:b"}"#,
            r#"["a:b",{"x":1},null]"#,
        ] {
            let call: CallBody = parse_body(body.as_bytes()).unwrap();
            assert_eq!((call.path.as_str(), call.args.get(), call.format), ("a:b", r#"{"x":1}"#, None), "{body}");
        }
        let batch: BatchBody = parse_body(br#"[[["a:b",{},null],{"path":"c:d","args":[{}]}]]"#).unwrap();
        assert_eq!(batch.queries.len(), 2);
    }

    #[test]
    fn bodies_of_another_shape_are_refused() {
        for body in [
            r#"{"path":"a:b"}"#,
            r#"{"path":"a:b","path":"a:b","args":{}}"#,
            r#"["a:b",{}]"#,
            r#"{"path":5,"args":{}}"#,
            "5",
        ] {
            assert!(matches!(parse_body::<CallBody>(body.as_bytes()), Err(Refusal::Shape(_))), "{body}");
        }
        for body in ["", "{", r#"{"path":"a:b","args":{}} x"#, "\u{feff}{}", r#"{"path":"a:b","args":NaN}"#] {
            assert!(matches!(parse_body::<CallBody>(body.as_bytes()), Err(Refusal::Syntax(_))), "{body}");
        }
    }

    #[test]
    fn json_content_types_are_told_from_others() {
        let is_json = |text| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]));
        for yes in ["application/json", "Application/JSON; charset=utf-16", "application/vnd.api+json"] {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["text/json", "application/jsonp", "application/+json", "application/x-www-form-urlencoded", "json"] {
            assert!(!is_json(no), "{no}");
        }
    }

    #[test]
    fn the_default_format_follows_the_client() {
        let format = |text| client(text).unwrap().default_format();
        for old in ["npm-1.4.0", "npm-1.3.0", "npm-cli-1.4.0", "actions-1.4.0", "python-convex-0.4.9", "NPM-1.0.0"] {
            assert_eq!(format(old), OutputFormat::Encoded, "{old}");
        }
        for new in ["npm-1.4.1", "npm-1.48.0", "python-convex-0.5.0", "rust-0.1.0", "some-thing-0.0.0", "npm-x"] {
            assert_eq!(format(new), OutputFormat::Clean, "{new}");
        }
        assert_eq!(Client::read(&HeaderMap::new()).unwrap().default_format(), OutputFormat::Clean);
    }

    #[test]
    fn clients_are_refused_without_a_dash_and_when_too_old() {
        assert!(matches!(client("npm"), Err(Refusal::ClientVersion(_))));
        assert!(matches!(client("npm-0.19.1"), Err(Refusal::ClientTooOld { .. })));
        assert!(client("npm-0.19.2").is_ok());
        assert_eq!(client("my-own-1.2.3-alpha.1").unwrap(), Client { name: "my-own".into(), version: Some([1, 2, 3]) });
    }

    #[test]
    fn a_version_in_a_path_is_that_of_a_browsers_client() {
        let in_path = |version| Client::read_with_path(&HeaderMap::new(), version);
        assert_eq!(in_path("1.28.0-alpha.1").unwrap(), Client { name: "npm".into(), version: Some([1, 28, 0]) });
        for text in ["", "query", "1.28", "1.28.0.0", "v1.28.0", "+1.28.0", "npm-1.28.0"] {
            assert!(matches!(in_path(text), Err(Refusal::PathVersion(_))), "{text}");
        }
        assert!(matches!(in_path("0.19.1"), Err(Refusal::ClientTooOld { .. })));
        let header = HeaderMap::from_iter([("convex-client".parse().unwrap(), HeaderValue::from_static("rust-1.0.0"))]);
        assert_eq!(Client::read_with_path(&header, "nonsense").unwrap().name, "rust", "the header wins");
    }

    #[test]
    fn only_later_browser_clients_take_chunks() {
        for (text, takes) in [("npm-1.28.0", true), ("npm-2.0.0", true), ("npm-1.27.9", false), ("rust-9.0.0", false)] {
            assert_eq!(client(text).unwrap().takes_chunks(), takes, "{text}");
        }
    }

    #[test]
    fn timestamps_are_eight_bytes_of_the_past() {
        let newest = Timestamp::try_from(1_000_u64).unwrap();
        assert_eq!(parse_timestamp(&print_timestamp(newest), newest).unwrap(), newest);
        let later = Timestamp::try_from(1_001_u64).unwrap();
        for text in ["", "AAAA", "AAAAAAAAAA==", "!", &print_timestamp(later)] {
            assert!(matches!(parse_timestamp(text, newest), Err(Refusal::Timestamp)), "{text}");
        }
    }
}
