//! The body of a call as it goes upstream: written from what was parsed, never the bytes that came.

use crate::{
    classify::{Call, Lane},
    config,
    error::Rejection,
    permit::Permitted,
};

/// Writes the body for one lane.
///
/// # Errors
///
/// [`Rejection::AdapterArgumentInvalid`]: an argument of an adapter function that has no meaning.
pub(super) fn write(lane: Lane, calls: &[Permitted<'_>], policy: &config::Adapter) -> Result<Vec<u8>, Rejection> {
    let bytes: usize = calls.iter().map(|permitted| permitted.call().args.get().len() + 128).sum();
    let mut out = Vec::with_capacity(bytes);
    if lane == Lane::QueryBatch {
        out.extend_from_slice(b"{\"queries\":[");
        for (index, permitted) in calls.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_permitted(permitted, policy, &mut out)?;
        }
        out.extend_from_slice(b"]}");
    } else {
        for permitted in calls {
            write_permitted(permitted, policy, &mut out)?;
        }
    }
    Ok(out)
}

/// Writes the body of a call that the proxy makes itself; `arguments` is JSON text.
pub(super) fn write_own(path: &str, format: &str, arguments: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(arguments.len() + path.len() + 64);
    open(path, &mut out);
    out.extend_from_slice(b",\"format\":");
    write_text(format, &mut out);
    out.extend_from_slice(b",\"args\":");
    out.extend_from_slice(arguments);
    out.push(b'}');
    out
}

fn write_permitted(permitted: &Permitted<'_>, policy: &config::Adapter, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let Call { path, args: _, format, timestamp } = permitted.call();
    open(path.as_str(), out);
    for (name, text) in [(",\"format\":", format), (",\"ts\":", timestamp)] {
        if let Some(text) = text {
            out.extend_from_slice(name.as_bytes());
            write_text(text, out);
        }
    }
    out.extend_from_slice(b",\"args\":");
    permitted.write_args(policy, out)?;
    out.push(b'}');
    Ok(())
}

fn open(path: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"path\":");
    write_text(path, out);
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    #[expect(clippy::expect_used, reason = "a text is written to memory: neither the text nor the writer can refuse")]
    serde_json::to_writer(out, text).expect("text to memory");
}
